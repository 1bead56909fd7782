"""A build backend (PEP 517) for this one project, in the standard library alone.

It is here so that pip can build the sdist where there is no network and no
setuptools.
"""

import base64
import hashlib
import os
import zipfile

NAME = "twigs-0.3"
INFO = NAME + ".dist-info/"
WHEEL = "Wheel-Version: 1.0\nGenerator: twigs-backend\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def read(name):
    with open(name, "rb") as f:
        return f.read()


def metadata():
    return {INFO + "METADATA": read("PKG-INFO"), INFO + "WHEEL": WHEEL.encode()}


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    for name, data in metadata().items():
        path = os.path.join(metadata_directory, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as f:
            f.write(data)
    return INFO.rstrip("/")


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    members = {"twigs.py": read("twigs.py")}
    members.update(metadata())
    record = ""
    for name, data in members.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        record += "%s,sha256=%s,%d\n" % (name, digest, len(data))
    members[INFO + "RECORD"] = (record + INFO + "RECORD,,\n").encode()
    filename = NAME + "-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(wheel_directory, filename), "w") as z:
        for name, data in members.items():
            z.writestr(name, data)
    return filename
