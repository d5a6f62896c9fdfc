"""Documents of a bundle, read by the validators of their formats: `validate.py BUNDLE`."""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from sarif_pydantic import Sarif
from trestle.oscal.assessment_results import Model as AssessmentResults
from trestle.oscal.component import Model as ComponentDefinition
from trestle.oscal.poam import Model as PlanOfAction

bundle = Path(sys.argv[1])
results = json.loads((bundle / "oscal/assessment-results.json").read_text())
component = json.loads((bundle / "oscal/component-definition.json").read_text())
sarif = json.loads((bundle / "results.sarif").read_text())
plan = json.loads((bundle / "oscal/plan-of-action.json").read_text())
AssessmentResults.model_validate(results)
PlanOfAction.model_validate(plan)
ComponentDefinition.model_validate(component)
found = Sarif.model_validate(sarif).runs[0].results
if len(found) != len(sarif["runs"][0]["results"]):
    raise SystemExit("SARIF: results were lost")
wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(
    (bundle / "inventory.cdx.json").read_text()
)
if wrong is not None:
    raise SystemExit(f"CycloneDX: {wrong}")
json.dump({"OSCAL": "valid", "CycloneDX 1.6": "valid", "SARIF": "read whole"}, sys.stdout)
