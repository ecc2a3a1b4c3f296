"""Writes Snakemake's log events as JSON lines to $SNAKEMAKE_RECORDS: `snakemake --logger records`.

One line for each event that says something about a job: `event`, `time` (seconds since 1970), and the fields that
Snakemake gives with it. Put this folder's parent on PYTHONPATH.
"""

import json
import os

from snakemake_interface_logger_plugins.base import LogHandlerBase

EVENTS = {"workflow_started", "run_info", "job_info", "job_started", "job_finished", "job_error", "error"}
FIELDS = ("workflow_id", "jobid", "job_id", "job_ids", "jobs", "rule_name", "threads", "wildcards", "benchmark", "resources")


def plain(value):
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    if hasattr(value, "items"):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(inner) for inner in value]
    return str(value)


class LogHandler(LogHandlerBase):
    writes_to_stream = False
    writes_to_file = True
    has_filter = True
    has_formatter = True
    needs_rulegraph = False

    @property
    def baseFilename(self):
        return os.environ["SNAKEMAKE_RECORDS"]

    def emit(self, record):
        event = getattr(record, "event", None)
        if event is None or str(event).lower() not in EVENTS:
            return
        line = {"event": str(event).lower(), "time": record.created}
        for field in FIELDS:
            value = getattr(record, field, None)
            if value is not None:
                line[field] = plain(value)
        # A folder of this machine, and no resource.
        line.get("resources", {}).pop("tmpdir", None)
        with open(self.baseFilename, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
