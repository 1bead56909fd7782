"""Says what this interpreter's pip (or, failing that, packaging) makes of targets.

Reads {"targets": [{"name", "short", "version", "abis", "system", "arch", "release"}],
"files": [...], "heard": [...]} as JSON from standard input and writes what it makes of
them; of the targets only if the judge was not heard yet. Runs on Python 2.7 too.
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
    question = json.load(sys.stdin)
    if name in question["heard"]:
        question["targets"] = []
    if pip_tags:
        answer["wanted"] = wanted(question["files"])
    if pip_tags or "--packaging" in sys.argv:
        tell_tags(package, pip_tags, question["targets"], answer)
    json.dump(answer, sys.stdout)


def load(package, module):
    __import__(package + "." + module)
    return sys.modules[package + "." + module]


def wanted(names):
    """The files that this pip takes, the most wanted first."""
    from pip._internal.index.package_finder import CandidateEvaluator
    from pip._internal.models.candidate import InstallationCandidate
    from pip._internal.models.link import Link
    from pip._internal.models.wheel import Wheel

    evaluator = CandidateEvaluator.create("foo")
    taken = [n for n in names if not n.endswith(".whl") or Wheel(n).supported(evaluator._supported_tags)]
    candidates = [InstallationCandidate("foo", "1.0", Link("https://files.example/" + n)) for n in taken]
    return [c.link.filename for c in sorted(candidates, key=evaluator._sort_key, reverse=True)]


def tell_tags(package, pip_tags, targets, answer):
    tags = load(package, "tags")
    manylinux, musllinux = load(package, "_manylinux"), load(package, "_musllinux")
    native = pip_tags.get_supported() if pip_tags else tags.sys_tags()
    answer["native"]["tags"] = [str(t) for t in native]
    answer["native"]["glibc"] = "%d.%d" % manylinux._get_glibc_version()

    own_platforms = tags.platform_tags
    for case in targets:
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
