#!/usr/bin/python3
"""The golden pages of metrics please those who will read them: promtool (text) and the OpenMetrics parser of Prometheus's
Python client."""

import glob
import os
import shutil
import subprocess
import sys

GOLDEN = os.path.join(os.path.dirname(__file__), "..", "golden")

# The contract fixes this name: conservation is promised to the microjoule, so that is what it counts.
ALLOWED = 'wattport_conservation_error_microjoules use base unit "joules" instead of "microjoules"'

SKIPPED = 77


def check_text(path):
    """What promtool complains of."""
    with open(path, "rb") as page:
        done = subprocess.run(["promtool", "check", "metrics"], stdin=page, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return [line for line in lines if line and line != ALLOWED]


def check_openmetrics(path):
    """What the parser complains of."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families  # pylint: disable=import-outside-toplevel

    with open(path, encoding="utf-8") as page:
        try:
            families = list(text_string_to_metric_families(page.read()))
        except ValueError as error:
            return [str(error)]
    return [] if families else ["no families"]


def main():
    """Checks every golden page."""
    missing = "promtool is not installed (prometheus)" if shutil.which("promtool") is None else ""
    try:
        import prometheus_client  # noqa: F401 pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        missing = missing or "prometheus_client is not installed (python3-prometheus-client)"
    if missing:
        print(f"skipped: {missing}")
        return SKIPPED
    pages = sorted(glob.glob(f"{GOLDEN}/*.openmetrics") + glob.glob(f"{GOLDEN}/*.txt"))
    findings = []
    for path in pages:
        check = check_openmetrics if path.endswith(".openmetrics") else check_text
        findings += [f"{os.path.basename(path)}: {line}" for line in check(path)]
    print("\n".join(findings) or f"{len(pages)} pages")
    return 1 if findings or len(pages) < 4 else 0


if __name__ == "__main__":
    sys.exit(main())
