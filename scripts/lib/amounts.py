"""How bytes and durations are told to people in a terminal."""

UNITS = ("", "k", "M", "G", "T")


def short(number: float) -> str:
    """1234 -> '1.2 k', without the unit that follows."""
    for unit in UNITS:
        if number < 1000 or unit == UNITS[-1]:
            break
        number /= 1000
    return f"{number:.{1 if number < 10 and unit else 0}f} {unit}"


def size(count: int) -> str:
    """Bytes: 1234 -> '1.2 kB'."""
    return f"{short(count)}B"
