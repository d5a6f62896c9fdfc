#!/usr/bin/env bash
# The steps of CI, the same on every forge: fleet.sh setup|plan|certificate|up|probe|record. What the words mean: docs/ci.md.
set -euo pipefail

LIBRARY=${LIBRARY:-loopback-iac}  # this library, at a commit that you looked at (a git submodule)
PROGRAM=${PROGRAM:-fleet}         # the folder with your Pulumi.yaml
STACK=${STACK:-prod}
CONTROLS=${CONTROLS:-$PROGRAM/controls.json}  # of the policy pack; start from docs/controls-ci.json
DEMANDS=${DEMANDS:-$PROGRAM/demands.yaml}     # of the proof; docs/proof-example.yaml has every key
ZONES=${ZONES:-$PROGRAM/zones}                # zone files, NAME.zone
SERVERS=${SERVERS:-$PROGRAM/servers}          # one NAME[/POP]=ADDRESS[:PORT] per line: who answers for them
OUT=${OUT:-out}

export PATH="$PWD/.venv/bin:$PATH"
stack=(-C "$PROGRAM" --stack "$STACK")
pack=(--policy-pack "$LIBRARY/policies" --policy-pack-config "$CONTROLS")

case "${1:-}" in
  setup)
    python3 -m venv .venv
    .venv/bin/pip install --quiet --require-hashes -r "$LIBRARY/requirements/run.lock"
    .venv/bin/pip install --quiet --no-deps --no-build-isolation "$LIBRARY"
    ;;
  plan)
    loopback plan "${stack[@]}" "${pack[@]}"
    ;;
  certificate)
    loopback prove "${stack[@]}" --demands "$DEMANDS" --out "$OUT/certificate.json" --verifier "$OUT/verify.py"
    python3 -I "$OUT/verify.py" "$OUT/certificate.json"
    ;;
  up)
    : "${LOOPBACK_STATE_DIR:?names the folder on this runner that keeps the state from run to run}"
    loopback plan "${stack[@]}" "${pack[@]}"  # the gate: in `up`, rules over the whole stack come after it
    loopback up "${stack[@]}" "${pack[@]}" --yes
    ;;
  probe)
    mkdir -p "$OUT"
    failed=0
    loopback drift "${stack[@]}" --json >"$OUT/drift.json" || failed=1
    mapfile -t servers < <(sed -n 's/^[^#]/--server=&/p' "$SERVERS")
    for zone in "$ZONES"/*.zone; do
      found=$OUT/dns-$(basename "$zone" .zone).json
      loopback dns check "$zone" "${servers[@]}" --json >"$found" || failed=1
    done
    # what was found is evidence: docs/incident.md
    [ "$failed" = 0 ] || { grep -H . "$OUT"/drift.json "$OUT"/dns-*.json >&2; exit 1; }
    ;;
  record)
    : "${EVIDENCE_CHAIN:?names the folder that keeps the chain of evidence from run to run}"
    : "${EVIDENCE_KEY:?names the SSH key that signs, or the .pub of one that an agent on this runner has}"
    signed=(--chain "$EVIDENCE_CHAIN" --key "$EVIDENCE_KEY" --signer "${EVIDENCE_SIGNER:-ci}")
    loopback evidence record "${stack[@]}" "${signed[@]}" --policy-pack-config "$CONTROLS" --demands "$DEMANDS" \
      --change "${CHANGE:-unknown}"
    rm -rf "$OUT/bundle"
    loopback evidence bundle "${signed[@]}" --out "$OUT/bundle"
    ;;
  *)
    echo "fleet.sh: got '${1:-}'; need setup, plan, certificate, up, probe or record" >&2
    exit 2
    ;;
esac
