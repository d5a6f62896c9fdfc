"""What apt and dpkg say, read as facts."""

import pytest

from loopback_iac.agent.packages import archive_name, check_room, parse_packages, read_complaint
from loopback_iac.agent.programs import Outcome
from loopback_iac.agent.refusal import RefusedError


@pytest.mark.parametrize("name", ["-y", "bird2;reboot", "Bird", "", 7, "../x", "a b"])
def test_what_is_no_package_name_is_refused(name):
    with pytest.raises(RefusedError, match="no Debian package name"):
        parse_packages([name])


def test_packages_that_do_not_fit_on_the_disk_are_refused_before_they_are_installed():
    check_room("After this operation, 12.5 kB of additional disk space will be used.\n")
    check_room("After this operation, 9731 kB disk space will be freed.\n")
    with pytest.raises(RefusedError, match=r"need 4000008 MB below /usr, \d+ MB are free"):
        check_room("After this operation, 4,000 GB of additional disk space will be used.\n")


def test_a_complaint_has_the_words_of_dpkg_and_then_those_of_apt():
    said = (
        "Unpacking haproxy (3.0.11) ...\n"
        "dpkg: error processing archive /x/haproxy.deb (--unpack):\n"
        " cannot copy extracted data: failed to write (No space left on device)\n"
        "Setting up bird2\n"
    )
    told = read_complaint(Outcome(100, said, "E: Sub-process /usr/bin/dpkg returned (1)\n"))
    assert told == (
        "dpkg: error processing archive /x/haproxy.deb (--unpack): cannot copy extracted data:"
        " failed to write (No space left on device); E: Sub-process /usr/bin/dpkg returned (1)"
    )


def test_a_fetched_package_is_called_what_apt_calls_it():
    assert archive_name("procps", "2:4.0.4-9", "amd64") == "procps_2%3a4.0.4-9_amd64.deb"
