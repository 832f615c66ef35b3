"""How things go wrong, in the one form of the project: `place: problem; got X; expected Y`."""

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ENVIRONMENT = 3
EXIT_INVARIANT = 70
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as a shell says it.


class Problem(Exception):
    """What a user got wrong: nothing was started."""

    code = EXIT_USAGE

    def __init__(self, place, problem, got="", expected=""):
        text = f"{place}: {problem}" if place else problem
        if got:
            text += f"; got {got}"
        if expected:
            text += f"; expected {expected}"
        super().__init__(text)


class EnvironmentProblem(Problem):
    """What this machine lacks."""

    code = EXIT_ENVIRONMENT


class Failure(Problem):
    """What broke in the middle of a run."""

    code = EXIT_FAILED


class InvariantBroke(Failure):
    """A daemon found its own books wrong."""

    code = EXIT_INVARIANT
