"""Facts of the kinds that applications write: owners, prices, versions, dates, policies.

Each kind is a cue with `{s}` for the entity, questions for it, and a generator of values. None
of these kinds is in evaluation/'s application suite.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable

from training.data import Ask

FIRST = """
    Ana Bashir Chen Dmitri Elif Farah Goran Hana Ivo Jamila Kwame Lena Mateo Nadia Omar Priya
    Quentin Rosa Sven Tariq Uma Viktor Wanjiru Xavier Yuki Zofia Amelia Bruno Clara Diego Emeka
    Freya Hugo Ingrid Jonas Keiko Lars Mei Noah Olga
""".split()
LAST = """
    Adeyemi Brandt Costa Dubois Eriksen Fischer Garcia Hoang Ibrahim Jansen Kowalski Larsen
    Moreau Nakamura Okafor Petrov Quispe Rossi Silva Tanaka Usman Vargas Weber Xu Yilmaz Zimmer
    Abbott Beckett Choudhury Duarte Ellis Fontaine Gruber Hale Imai Joshi Keller Lindqvist Mbeki
    Novak
""".split()
THINGS = """
    billing checkout search ledger inventory gateway catalog identity payments reports scheduler
    mailer analytics archive pricing shipping support warehouse fraud onboarding
""".split()
SUFFIX = """
    service team cluster pipeline queue database portal module dashboard project
""".split()
PRODUCTS = """
    Falcon Nimbus Orion Quartz Helix Ember Atlas Breeze Cobalt Delta Vertex Pulse Aurora Zephyr
    Onyx Lumen
""".split()
PLANS = """
    Basic Plus Pro Premium Team Enterprise Starter Max Lite Ultra
""".split()
MONTHS = """
    January February March April May June July August September October November December
""".split()
CITIES = """
    Lyon Osaka Tallinn Porto Leeds Quito Dakar Graz Hanoi Bergen Perth Turin Austin Malmo Pune
    Cork
""".split()

Rng = random.Random


def person(r: Rng) -> str:
    return f"{r.choice(FIRST)} {r.choice(LAST)}"


def system(r: Rng) -> str:
    return f"the {r.choice(THINGS)} {r.choice(SUFFIX)}"


def product(r: Rng) -> str:
    return f"{r.choice(PRODUCTS)} {r.choice(PLANS) if r.random() < 0.5 else r.randint(2, 900)}"


def agent(r: Rng) -> str:
    kind = r.choice(["agent", "order", "ticket", "room", "unit", "customer", "case"])
    return f"{kind} {r.randint(0, 9999):04d}"


def price(r: Rng) -> str:
    return f"{r.choice('$€£')}{r.randint(1, 2000):,}{r.choice(['', f'.{r.randint(0, 99):02d}'])}"


def date(r: Rng) -> str:
    day, month, year = r.randint(1, 28), r.choice(MONTHS), r.randint(1950, 2035)
    return r.choice([f"{month} {day}, {year}", f"{day} {month} {year}", f"{month} {year}",
                     f"{year}-{r.randint(1, 12):02d}-{day:02d}"])  # fmt: skip


def version(r: Rng) -> str:
    return r.choice(["", "v"]) + ".".join(str(r.randint(0, 30)) for _ in range(r.choice([2, 3])))


def code(r: Rng) -> str:
    letters = "".join(r.choices(string.ascii_uppercase, k=r.randint(2, 4)))
    return f"{letters}{r.choice(['-', '', '_'])}{r.randint(10, 99999)}"


def number(r: Rng) -> str:
    return str(r.randint(1, 10 ** r.randint(1, 6)))


def span(r: Rng) -> str:
    unit = r.choice(["days", "hours", "minutes", "weeks", "months", "years"])
    return f"{r.randint(2, 90)} {unit}"


def made_up(r: Rng) -> str:
    syllables = [r.choice("bdfgklmnprstvz") + r.choice("aeiou") for _ in range(r.randint(2, 4))]
    return "".join(syllables).capitalize() + r.choice(["", "n", "x", "rt"])


def city(r: Rng) -> str:
    return r.choice(CITIES)


Make = Callable[[Rng], str]
KINDS: tuple[tuple[Make, Make, tuple[str, ...]], ...] = (
    (
        system,
        person,
        (
            "The owner of {s} is",
            "{s} is owned by",
            "Who owns {s}?",
            "The person responsible for {s} is",
        ),
    ),
    (
        system,
        person,
        (
            "The on-call engineer for {s} is",
            "On call for {s} this week is",
            "Who is on call for {s}?",
        ),
    ),
    (
        product,
        price,
        ("The price of {s} is", "{s} costs", "How much does {s} cost?", "{s} sells for"),
    ),
    (
        system,
        version,
        ("The current version of {s} is", "{s} runs version", "Which version of {s} is deployed?"),
    ),
    (
        product,
        date,
        ("The release date of {s} is", "{s} was released on", "When was {s} released?"),
    ),
    (
        agent,
        number,
        ("The badge number of {s} is", "{s} has badge number", "What is the badge number of {s}?"),
    ),
    (
        agent,
        code,
        ("The access code of {s} is", "The code for {s} is", "What is the access code of {s}?"),
    ),
    (
        product,
        span,
        ("The warranty period of {s} is", "{s} is covered for", "How long is the warranty of {s}?"),
    ),
    (
        system,
        code,
        ("The ticket that tracks {s} is", "{s} is tracked in", "Which ticket tracks {s}?"),
    ),
    (
        person,
        city,
        ("{s} works from the office in", "The office of {s} is in", "Where is {s} based?"),
    ),
    (person, person, ("The manager of {s} is", "{s} reports to", "Who does {s} report to?")),
    (person, date, ("The birthday of {s} is", "{s} was born on", "When was {s} born?")),
    (
        made_up,
        city,
        ("The capital of {s} is", "The main city of {s} is", "What is the capital of {s}?"),
    ),
    (made_up, person, ("The founder of {s} is", "{s} was founded by", "Who founded {s}?")),
    (made_up, made_up, ("The antidote to {s} is", "{s} is cured by", "What cures {s}?")),
    (system, number, ("The port of {s} is", "{s} listens on port", "Which port does {s} use?")),
    (
        product,
        made_up,
        ("The code name of {s} is", "Internally {s} is called", "What is the code name of {s}?"),
    ),
    (
        system,
        span,
        ("The data retention of {s} is", "{s} keeps data for", "How long does {s} keep data?"),
    ),
)


def ask(rng: Rng) -> Ask:
    """A fact of a random kind, asked for in another of its wordings."""
    entity, value, forms = rng.choice(KINDS)
    subject, target = entity(rng), value(rng)
    prompt, query = rng.choice([f for f in forms if not f.endswith("?")]), rng.choice(forms)
    return Ask(fill(prompt, subject), target, fill(query, subject))


def fill(form: str, subject: str) -> str:
    text = form.format(s=subject)
    return text[0].upper() + text[1:]
