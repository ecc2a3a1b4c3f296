"""A pytest plug-in that tells how each test ended, one line on standard error: outcome, name, verdict, seconds, reason.

Standard error is duplicated on import, before pytest begins to capture it.
"""

import os

OUT = os.fdopen(os.dup(2), "w", buffering=1)


class Outcome:
    verdict, seconds, reason = "passed", 0.0, ""


RUNNING = {}


def pytest_runtest_logreport(report):
    """Called for set-up, call and tear-down, each of which may fail or skip."""
    outcome = RUNNING.setdefault(report.nodeid, Outcome())
    outcome.seconds += report.duration
    if outcome.verdict != "passed" or report.passed:
        return
    outcome.verdict = report.outcome
    if report.skipped:
        outcome.reason = report.longrepr[2].removeprefix("Skipped: ")
    else:
        crash = getattr(report.longrepr, "reprcrash", None)
        outcome.reason = (crash.message if crash else str(report.longrepr)).strip().splitlines()[0]


def pytest_runtest_logfinish(nodeid):
    outcome = RUNNING.pop(nodeid)
    print("outcome", nodeid, outcome.verdict, round(outcome.seconds, 2), outcome.reason, sep="\t", file=OUT)
