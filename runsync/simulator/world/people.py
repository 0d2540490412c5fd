"""The people of the simulated team."""

from __future__ import annotations

from zlib import crc32

from runsync.simulator.world.plans import Person

PEOPLE = (
    Person("Toon", "tonnu", "549101f36b3ba8733d88ce96", "bb95c388b227da2ce2f33c0811478095", True),
    Person("Mira Okaf", "mokaf", "56a1f0c2d7be4e1a09c3b7d1", "0d5c9a51e1f2436f8f6a3b7790c6d2ab"),
    Person("José Núñez", "jnunez", "56f3b9d01c2e5a7b83d9f014", "8a1e4c7d92b35f60718293a4b5c6d7e8"),
    Person("Li Wei", "liwei", "5702ce7b45aa90d1e3f8b26c", "3f9d2e8c17b64a05c8d1f2e3a4b59687"),
    Person("Ana Kovač", None, "571b44e08f1c2d3b4a596877", "c4ca4238a0b923820dcc509a6f75849b"),
    Person("release-bot", "release-bot", None, "1679091c5a880faf6fb5e6087eb1b2dc"),
)
"""The last but one has no user name, the last no user id."""

BOT = PEOPLE[-1]


def person_named(name: str) -> Person:
    """One of the team by user name or name, else somebody new with that user name."""
    known = (person for person in PEOPLE if name in (person.username, person.name))
    return next(known, Person(name.title(), name, f"{crc32(name.encode()):024x}", "0" * 32))
