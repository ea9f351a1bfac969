"""Print the primes below a number."""

import sys


def primes(limit: int) -> list[int]:
    """The primes below the limit."""
    found: list[int] = []
    for number in range(2, limit):
        if all(number % prime for prime in found):
            found.append(number)
    return found


print(*primes(int(sys.argv[1])))
