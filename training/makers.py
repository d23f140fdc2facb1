"""Makers of what applications write about: people, systems, prices, versions, dates."""

from __future__ import annotations

import random
import string
from collections.abc import Callable

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

MOODS = """
    Silent Crimson Broken Distant Hidden Golden Restless Hollow Frozen Gentle Electric Burning
""".split()
NOUNS = """
    Harbor Garden Mirror River Empire Lantern Station Valley Compass Winter Circus Bridge
    Chestnut Mill Church Market
""".split()
COUNTRIES = """
    Chile Norway Kenya Vietnam Portugal Canada Estonia Ghana Peru Japan Morocco Austria
""".split()
TRADES = """
    painter lawyer chemist goalkeeper pilot novelist senator cellist architect surgeon economist
    baker historian journalist
""".split()
LANGUAGES = """
    Finnish Swahili Catalan Urdu Korean Welsh Tagalog Basque Dutch Hebrew Polish Tamil
""".split()
WORDS = """
    green amber violet crimson silver manual automatic weekly daily monthly paused archived
    approved rejected pending internal public confidential leather cotton bamboo titanium
    Python Rust Kotlin Postgres Kafka chess fencing rowing pottery jazz opera
""".split()
POLICIES = """
    refund travel vacation password backup expense leave parking returns overtime visitor
    encryption
""".split()

Rng = random.Random
Make = Callable[[Rng], str]


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


def hour(r: Rng) -> str:
    return f"{r.randint(0, 23):02d}:{r.choice(['00', '15', '30', '45'])}{r.choice(['', ' UTC'])}"


def percent(r: Rng) -> str:
    return f"{r.choice([str(r.randint(1, 100)), f'{r.randint(0, 99)}.{r.randint(1, 9)}'])}%"


def size(r: Rng) -> str:
    return f"{r.randint(1, 900)} {r.choice(['GB', 'MB', 'TB', 'kg', 'km', 'seats', 'pages', 'W'])}"


def mail(r: Rng) -> str:
    return f"{r.choice(LAST).lower()}@{r.choice(PRODUCTS).lower()}.{r.choice(['com', 'org', 'io'])}"


def phone(r: Rng) -> str:
    return f"+{r.randint(1, 99)} {r.randint(10, 999)} {r.randint(100000, 9999999)}"


def host(r: Rng) -> str:
    named = f"{r.choice(THINGS)}-{r.randint(1, 99)}.{made_up(r).lower()}.net"
    return r.choice([named, f"10.{r.randint(0, 255)}.{r.randint(0, 255)}.{r.randint(1, 254)}"])


def hexed(r: Rng) -> str:
    return "".join(r.choices("0123456789abcdef", k=r.randint(6, 12)))


def word(r: Rng) -> str:
    return r.choice(WORDS)


def channel(r: Rng) -> str:
    return f"#{r.choice(THINGS)}-{r.choice(SUFFIX)}"


def firm(r: Rng) -> str:
    tail = r.choice(["Ltd", "GmbH", "Group", "Labs", "and Sons", "Inc", "Bank", "Foods"])
    return f"{r.choice([r.choice(LAST), made_up(r)])} {tail}"


def place(r: Rng) -> str:
    return r.choice([f"the {r.choice(CITIES)} office", f"the {r.choice(CITIES)} warehouse",
                     f"building {r.randint(1, 60)}", f"the {made_up(r)} store"])  # fmt: skip


def policy(r: Rng) -> str:
    return f"the {r.choice(POLICIES)} policy"


def title(r: Rng) -> str:
    form = r.choice(["film", "song", "novel", "album", "series", "play"])
    return f"the {form} {r.choice(MOODS)} {r.choice(NOUNS)}"


def event(r: Rng) -> str:
    what = r.choice(["Summit", "Forum", "Fair", "Marathon", "Workshop", "Gala", "Hackathon"])
    return f"the {r.choice([r.choice(CITIES), r.choice(PRODUCTS)])} {what}"


def vehicle(r: Rng) -> str:
    kind = r.choice(["truck", "bus", "forklift", "tractor", "tram", "crane", "scooter"])
    return f"{kind} {r.randint(1, 400)}"


def device(r: Rng) -> str:
    kind = r.choice(["printer", "laptop", "camera", "router", "badge reader", "projector", "scale"])
    return f"{kind} {r.choice(['', r.choice('ABKLMT') + '-'])}{r.randint(1, 900)}"


def parcel(r: Rng) -> str:
    return f"{r.choice(['parcel', 'crate', 'pallet', 'container'])} {r.randint(1000, 99999)}"


def account(r: Rng) -> str:
    return f"{r.choice(['account', 'loan', 'claim', 'invoice'])} {r.randint(100, 99999)}"


def contract(r: Rng) -> str:
    kind = r.choice(["contract", "lease", "patent", "grant"])
    return f"{kind} {r.choice('ABCKX')}-{r.randint(10, 999)}"


def patient(r: Rng) -> str:
    return f"{r.choice(['patient', 'applicant', 'student', 'member'])} {r.randint(100, 9999)}"


def house(r: Rng) -> str:
    return f"{r.randint(1, 120)} {r.choice(NOUNS)} {r.choice(['Street', 'Road', 'Lane', 'Square'])}"


def kin(r: Rng) -> str:
    return f"{r.choice(FIRST)} {r.choice('ABCDEFGHJKLM')}. {r.choice(LAST)}"


def country(r: Rng) -> str:
    return r.choice(COUNTRIES)


def trade(r: Rng) -> str:
    return r.choice(TRADES)


def language(r: Rng) -> str:
    return r.choice(LANGUAGES)


def color(r: Rng) -> str:
    return r.choice(["teal", "maroon", "beige", "navy", "olive", "purple", "ivory", "pink"])


def clothing(r: Rng) -> str:
    return r.choice(["sneakers", "a dark suit", "a lab coat", "a helmet", "a tuxedo", "boots"])


def plain(r: Rng) -> str:
    """A name of any length, with marks as real names have."""
    middle = r.choice(["", "", "van", "de", "al", f"{r.choice('ABCDE')}."])
    first, last = r.choice([*FIRST, "José", "Zoë", "Łukasz", "Åsa"]), r.choice([*LAST, made_up(r)])
    return " ".join(filter(None, (first, middle, last)))


def near(make: Make, entity: str, r: Rng, tries: int = 6) -> str:
    """Another entity of the same maker, the likest of a few: "order 0417" for "order 0471"."""
    others = [other for other in (make(r) for _ in range(tries)) if other != entity]
    ours = set(entity.lower().split())
    return max(others, key=lambda other: len(ours & set(other.lower().split())), default="")
