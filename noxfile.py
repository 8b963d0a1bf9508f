"""Entry points for development: each session sets up all it needs."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.reuse_existing_virtualenvs = True
# What a change has to pass, in this order; `nox` alone and `.ci/run` run these.
nox.options.sessions = [
    *("lint", "docs", "wheel", "lowest", "tests", "demo", "trio-tests", "apps", "soak"),
]

PYPROJECT = nox.project.load_toml("pyproject.toml")
WINDOWS_PYTHON = "tools/wine/winpython.py"
OTHER_PROGRAMS = "tests/apps/requirements.txt"
WINE_DEADLINE = 1500  # seconds for all tests in the Windows CPython, including its set-up
OLDEST_ON_WINDOWS = [f"tests/system/test_{x}.py" for x in ("cancellation", "install", "stream")]


def install(session: nox.Session, *groups: str) -> None:
    """Install the package and these dependency groups of pyproject.toml."""
    session.install("-e.", *nox.project.dependency_groups(PYPROJECT, *groups))


def run_on_windows(session: nox.Session, seconds: int, *arguments: str, packages: str = "") -> None:
    """Run the Windows CPython under Wine, with a folder of packages, for so long at most."""
    # By `timeout`, because a process that hangs under Wine may not be able to end itself.
    deadline = ("timeout", "--kill-after=10", str(seconds))
    env = {"PYTHONPATH": packages}
    session.run(*deadline, "python", WINDOWS_PYTHON, *arguments, external=True, env=env)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, types, checkpoints, spelling, news fragments, settings, and workflows."""
    install(session, "generate", "lint", "typing")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    for platform in ("win32", "linux"):
        session.run("mypy", "--platform", platform)
    for platform in ("Windows", "Linux"):
        complete = ("--verifytypes", "trio_wsarecv", "--ignoreexternal")
        session.run("pyright", *complete, "--pythonplatform", platform, silent=True)
    # In the engine only the entry points have to be checkpoints.
    engine = Path("trio_wsarecv/_engine")
    others = (each for each in Path("trio_wsarecv").glob("**/*.py") if each.parent != engine)
    modules = map(str, [engine / "receive.py", engine / "send.py", *others])
    session.run("flake8-async", "--enable=ASYNC910,ASYNC911,ASYNC912,ASYNC913", *modules)
    session.run("python", "-m", "trio_wsarecv._winsock.cdef", "--check")
    session.run("codespell")
    session.run("towncrier", "build", "--draft", "--version=next", silent=True)
    session.run("python", "-m", "pytest", "-q", "tests/project/test_settings.py")
    session.run("shellcheck", ".ci/run")
    session.run("jactionlint", "--profile=correctness", "--strict-exit")
    session.run("zizmor", "--offline", "--quiet", ".github")
    form = ".github/ISSUE_TEMPLATE/bug.yml"
    session.run("check-jsonschema", "--builtin-schema=vendor.github-issue-forms", form)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; any warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-nW", "--keep-going", "docs", "docs/_build", *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the archives into `dist` twice, compare, and use the wheel in empty environments."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "wheel"))
    session.run("python", "-m", "tools.wheel", *session.posargs)


@nox.session
def lowest(session: nox.Session) -> None:
    """Run the fast tests with the oldest versions of what the package depends on."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "uv"))
    scratch = Path(session.create_tmp())
    oldest = ("--constraint", str(scratch / "oldest.txt"))
    resolve = ("uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--extra=cli")
    output = ("--output-file", oldest[1], "pyproject.toml")
    session.run(*resolve, "--resolution=lowest-direct", *output, silent=True)
    packages = ("trio", "cffi", *nox.project.dependency_groups(PYPROJECT, "test"))
    session.install("-e.", *packages, *oldest)
    session.run("python", "-m", "pytest", "-m", "not slow", *session.posargs)
    if sys.platform == "linux":
        session.env["WINPYTHON_VENV"] = venv = str(scratch / "windows")
        session.run("python", "-m", "tools.wine.virtual", venv, *packages, *oldest)
        options = session.posargs or OLDEST_ON_WINDOWS
        run_on_windows(session, WINE_DEADLINE, "-m", "pytest", "-m", "not slow", *options)


@nox.session
def tests(session: nox.Session) -> None:
    """Run pytest natively, and on Linux also in a Windows CPython under Wine.

    Without arguments it runs all tests, and on Linux both runs together must cover every branch of
    the package, because parts of it are for one system only.
    """
    install(session, "test", "coverage")
    pytest = ("-m", "pytest", *session.posargs)
    if sys.platform != "linux":
        session.run("python", *pytest)
    elif session.posargs:
        session.run("python", *pytest)
        run_on_windows(session, WINE_DEADLINE, *pytest)
    else:
        data = Path(session.cache_dir, "coverage").absolute()
        shutil.rmtree(data, ignore_errors=True)
        session.env["COVERAGE_FILE"] = str(data / "data")
        measured = ("-m", "coverage", "run", *pytest)
        session.run("python", *measured)
        run_on_windows(session, WINE_DEADLINE, *measured)
        session.run("coverage", "combine", "--quiet")
        session.run("coverage", "report")


@nox.session
def demo(session: nox.Session) -> None:
    """Receive a large file in a Windows CPython, cancel a receive, and print measurements."""
    install(session, "test")
    session.run("python", "-m", "tools.demo.demo", *session.posargs)


@nox.session(name="trio-tests")
def trio_tests(session: nox.Session) -> None:
    """Run Trio's own tests with overlapped receives and on plain Trio, and compare the results."""
    install(session, "test")
    session.run("python", "-u", "-m", "tools.trio_suite.compare")


@nox.session
def apps(session: nox.Session) -> None:
    """Run other projects' programs with this package: Hypercorn, httpx, anyio, aioquic, dig."""
    install(session, "test")
    session.install("--require-hashes", "-r", OTHER_PROGRAMS)
    if sys.platform == "win32":
        session.install("pywin32")
    session.run("python", "-m", "pytest", "tests/apps", *session.posargs)
    if sys.platform == "linux":
        output = session.run("python", "-m", "tools.packages", OTHER_PROGRAMS, silent=True)
        *_, packages = str(output).splitlines()
        arguments = ("-m", "pytest", "tests/apps", *session.posargs)
        run_on_windows(session, WINE_DEADLINE, *arguments, packages=packages)


@nox.session
def soak(session: nox.Session) -> None:
    """Receive from hostile peers for long, in a Windows CPython; `-- --help` lists the options."""
    install(session, "test")
    session.run("python", "-u", "-m", "tests.soak", *session.posargs)


@nox.session
def same(session: nox.Session) -> None:
    """Run random programs on stock Trio and on the package, and compare the outcomes.

    `-- --seconds 7200` runs for two hours, `-- --programs 20000` runs so many programs, and
    `-- --replay PROGRAM` repeats one whose outcome differed.
    """
    install(session, "test")
    session.run("python", "-u", "-m", "tests.same", *session.posargs)


@nox.session
def loss(session: nox.Session) -> None:
    """Cancel receives in a Windows CPython and count the bytes that each library loses."""
    install(session, "test")
    if sys.platform == "win32":
        session.install("--require-hashes", "-r", "benchmarks/requirements.txt")
    session.run("python", "-u", "-m", "tests.soak.loss", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside Trio, asyncio, winloop and C, in about 13 minutes; `-- --help` has less."""
    install(session, "bench")
    if sys.platform == "win32":
        session.install("--require-hashes", "-r", "benchmarks/requirements.txt")
    session.run("python", "-m", "benchmarks", *session.posargs)


@nox.session
def mutants(session: nox.Session) -> None:
    """Change functions in one place at a time, and print the changes that no fast test notices.

    `-- "*.status.*" "*.port.*"` tries only these modules.  It first takes minutes to find out which
    tests reach which function; all modules take hours.  The results are kept in the folder
    `mutants`, so a stopped run can be continued.
    """
    install(session, "test", "mutants")
    session.run("mutmut", "run", *session.posargs, env={"CI": "true"})
    results = str(session.run("mutmut", "results", silent=True))
    for line in results.splitlines():
        if line.endswith(": survived"):
            session.run("mutmut", "show", line.split(":")[0].strip())


@nox.session(python=False)
def debian13(session: nox.Session) -> None:
    """Run `demo` and `tests`, or the named sessions, in a bare Debian 13 in a folder; as root."""
    session.run(sys.executable, "-m", "tools.debian", *session.posargs)
