"""Ask pip for many answers in one process.

Reads a JSON document {"jobs": [...]} and writes {"answers": [...]}, with the version
of pip and the markers and tags, best first, of the machine that it runs on. A job has the URL of an index, requirements, constraints, pip's further arguments
and, for another machine than this one, the values of markers. What pip does is
pip's own: nothing of it is replaced but the values of markers, for which it has
no arguments.
"""

import contextlib
import io
import json
import os
import sys
import tempfile

import pip
from pip._internal.cli.main import main
from pip._internal.utils.compatibility_tags import get_supported
from pip._vendor.packaging import markers

native = markers.default_environment


def answer(job):
    override = job.get("markers")
    markers.default_environment = (lambda: dict(override)) if override else native
    with tempfile.TemporaryDirectory() as folder:
        report, log = os.path.join(folder, "report"), os.path.join(folder, "log")
        args = ["install", "--dry-run", "--ignore-installed", "--no-cache-dir", "--quiet", "--quiet", "--quiet"]
        args += ["--only-binary", ":all:", "--index-url", job["index"], "--report", report, "--log", log]
        args += ["--target", os.path.join(folder, "target")] + job.get("args", [])
        if job.get("constraints"):
            name = os.path.join(folder, "constraints.txt")
            with open(name, "w") as f:
                f.write("\n".join(job["constraints"]) + "\n")
            args += ["--constraint", name]
        # A requirement may begin with anything but a dash.
        args += job["requirements"]
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            code = main(args)
        if code == 0:
            with open(report) as f:
                installed = json.load(f)["install"]
            return {"set": {i["metadata"]["name"]: os.path.basename(i["download_info"]["url"]) for i in installed}}
        with open(log) as f:
            return {"error": f.read()[-4000:]}


request = json.load(sys.stdin)
out = {"pip": pip.__version__, "markers": dict(native()), "tags": [str(t) for t in get_supported()]}
out["answers"] = [answer(job) for job in request["jobs"]]
json.dump(out, sys.stdout)
