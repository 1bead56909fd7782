"""Says what this interpreter's pip (or, failing that, packaging) makes of targets.

Reads [{"name", "short", "version", "abis", "system", "arch", "release"}] as JSON from
standard input and writes {"judge": ..., "tags": {name: [...]}, "native": {...}, ...}.
Runs on Python 2.7 too.
"""
import json
import sys
import sysconfig


def judges():
    if "--packaging" in sys.argv:
        import packaging

        return "packaging " + getattr(packaging, "__version__", "?"), "packaging", None
    import pip

    try:
        from pip._internal.utils import compatibility_tags
    except ImportError:  # before pip 20, whose tags are its own
        return "pip " + pip.__version__, "pip._vendor.packaging", None
    return "pip " + pip.__version__, "pip._vendor.packaging", compatibility_tags


def main():
    name, package, pip_tags = judges()
    answer = {"judge": name, "tags": {}, "requires": {}}
    markers = load(package, "markers")
    answer["native"] = {"markers": markers.default_environment(), "machine": sysconfig.get_platform()}
    specifiers = load(package, "specifiers")
    for spec, version in requires():
        answer["requires"][spec + " " + version] = specifiers.SpecifierSet(spec).contains(version)
    if pip_tags or "--packaging" in sys.argv:
        tell_tags(package, pip_tags, answer)
    json.dump(answer, sys.stdout)


def load(package, module):
    __import__(package + "." + module)
    return sys.modules[package + "." + module]


def tell_tags(package, pip_tags, answer):
    tags = load(package, "tags")
    manylinux, musllinux = load(package, "_manylinux"), load(package, "_musllinux")
    native = pip_tags.get_supported() if pip_tags else tags.sys_tags()
    answer["native"]["tags"] = [str(t) for t in native]
    answer["native"]["glibc"] = "%d.%d" % manylinux._get_glibc_version()

    own_platforms = tags.platform_tags
    for case in json.load(sys.stdin):
        release = tuple(case["release"])
        arch = case["arch"]
        if case["system"] == "macos":
            platforms = list(tags.mac_platforms(release, arch))
        elif case["system"] == "windows":
            platforms = ["win32" if arch == "x86" else "win_" + arch]
        else:
            musl = case["system"] == "musllinux"
            sysconfig.get_platform = lambda: "linux-" + arch
            manylinux._get_glibc_version = lambda: (-1, -1) if musl else release
            manylinux._is_linux_armhf = manylinux._is_linux_i686 = lambda *_: True
            musllinux._get_musl_version = lambda *_: musllinux._MuslVersion(*release) if musl else None
            platforms = list(tags._linux_platforms(is_32bit=False))
        tags.platform_tags = lambda: iter(platforms)
        if pip_tags:
            got = pip_tags.get_supported(version=case["version"], impl=case["short"], abis=list(case["abis"]))
        else:
            version = int(case["version"][0]), int(case["version"][1:])
            interpreter = case["short"] + case["version"]
            if case["short"] == "cp":
                got = list(tags.cpython_tags(version, list(case["abis"]), platforms))
            else:
                got = list(tags.generic_tags(interpreter, list(case["abis"]), platforms))
            got += tags.compatible_tags(version, interpreter, platforms)
        answer["tags"][case["name"]] = [str(t) for t in got]
        tags.platform_tags = own_platforms


def requires():
    for version in "2.7.18", "3.9.2", "3.14.0":
        for spec in "", ">=3.9.2", ">=3.9", "!=3.9.2", ">=2.7,!=3.0.*,!=3.1.*", "<4", ">=3.14.0rc1", ">=3.14", "==3.14.*", "~=3.9":
            yield spec, version


main()
