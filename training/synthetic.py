"""Facts of the kinds that applications write: owners, prices, versions, dates, policies.

Each kind is a maker of entities, a maker of values, and wordings with `{s}` for the entity:
completions and questions. None of these kinds is in evaluation/'s application suite.
"""

from __future__ import annotations

import random
import re
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


Make = Callable[[Rng], str]
Kind = tuple[Make, Make, tuple[str, ...]]
# fmt: off
_TABLE: tuple[tuple[Make, Make, str], ...] = (
    (system, person, "The owner of {s} is|{s} is owned by|Who owns {s}?|"
        "The person responsible for {s} is"),
    (system, person, "The on-call engineer for {s} is|On call for {s} this week is|"
        "Who is on call for {s}?"),
    (product, price, "The price of {s} is|{s} costs|How much does {s} cost?|{s} sells for"),
    (system, version, "The current version of {s} is|{s} runs version|"
        "Which version of {s} is deployed?"),
    (product, date, "The release date of {s} is|{s} was released on|When was {s} released?"),
    (agent, number, "The badge number of {s} is|{s} has badge number|"
        "What is the badge number of {s}?"),
    (agent, code, "The access code of {s} is|The code for {s} is|What is the access code of {s}?"),
    (product, span, "The warranty period of {s} is|{s} is covered for|"
        "How long is the warranty of {s}?"),
    (system, code, "The ticket that tracks {s} is|{s} is tracked in|Which ticket tracks {s}?"),
    (person, city, "{s} works from the office in|The office of {s} is in|Where is {s} based?"),
    (person, person, "The manager of {s} is|{s} reports to|Who does {s} report to?"),
    (person, date, "The birthday of {s} is|{s} was born on|When was {s} born?"),
    (made_up, city, "The capital of {s} is|The main city of {s} is|What is the capital of {s}?"),
    (made_up, person, "The founder of {s} is|{s} was founded by|Who founded {s}?"),
    (made_up, made_up, "The antidote to {s} is|{s} is cured by|What cures {s}?"),
    (system, number, "The port of {s} is|{s} listens on port|Which port does {s} use?"),
    (product, made_up, "The code name of {s} is|Internally {s} is called|"
        "What is the code name of {s}?"),
    (system, span, "The data retention of {s} is|{s} keeps data for|How long does {s} keep data?"),
    (person, mail, "The email address of {s} is|You can write to {s} at|"
        "What is {s}'s email address?"),
    (firm, phone, "The phone number of {s} is|{s} can be called at|How do I reach {s} by phone?"),
    (place, hour, "The opening time of {s} is|{s} opens at|When does {s} open?"),
    (system, host, "The address of {s} is|{s} is reachable at|At which host does {s} run?"),
    (system, hexed, "The commit running in {s} is|{s} was built from commit|"
        "Which commit is {s} built from?"),
    (product, percent, "The discount on {s} is|{s} is reduced by|What discount is there on {s}?"),
    (product, size, "The weight limit of {s} is|{s} holds up to|How much can {s} hold?"),
    (system, channel, "The chat channel of {s} is|People discuss {s} in|"
        "In which channel is {s} discussed?"),
    (policy, span, "The notice that {s} asks for is|Under {s} you must give notice of|"
        "How much notice does {s} ask for?"),
    (policy, date, "The last review of {s} was on|{s} was last reviewed on|"
        "When was {s} last reviewed?"),
    (policy, person, "The author of {s} is|{s} was written by|Who wrote {s}?"),
    (firm, person, "The chief executive of {s} is|{s} is led by|Who runs {s}?"),
    (firm, city, "The head office of {s} is in|{s} is based in|Where is the head office of {s}?"),
    (firm, number, "The number of employees of {s} is|{s} employs|How many people work at {s}?"),
    (agent, person, "The contact person for {s} is|{s} is handled by|Who handles {s}?"),
    (agent, date, "The due date of {s} is|{s} must be done by|When is {s} due?"),
    (agent, word, "The status of {s} is|{s} is currently|What is the status of {s}?"),
    (agent, place, "The current location of {s} is|{s} can be found in|Where is {s} now?"),
    (person, word, "The hobby of {s} is|In the evenings {s} enjoys|What is {s}'s hobby?"),
    (person, firm, "The employer of {s} is|{s} is employed by|Which company does {s} work for?"),
    (person, number, "The desk number of {s} is|{s} sits at desk|At which desk does {s} sit?"),
    (system, word, "The main language of {s} is|{s} is written in|What is {s} written in?"),
    (system, percent, "The error budget of {s} is|{s} may fail at most|"
        "What is the error budget of {s}?"),
    (product, firm, "The supplier of {s} is|{s} is supplied by|Who supplies {s}?"),
    (product, word, "The color of {s} is|{s} comes in|In what color does {s} come?"),
    (product, code, "The part number of {s} is|{s} is listed as part|"
        "What is the part number of {s}?"),
    (made_up, number, "The population of {s} is|{s} is home to this many people:|"
        "How many people live in {s}?"),
    (made_up, word, "The national sport of {s} is|People in {s} love to do|"
        "What is the national sport of {s}?"),
    (place, person, "The caretaker of {s} is|{s} is looked after by|Who looks after {s}?"),
    (place, code, "The door code of {s} is|{s} unlocks with|How do I unlock the door of {s}?"),
)
# fmt: on
KINDS: tuple[Kind, ...] = tuple((e, v, tuple(forms.split("|"))) for e, v, forms in _TABLE)


def ask(rng: Rng) -> Ask:
    """A fact of a random kind, asked for in another of its wordings."""
    entity, value, forms = rng.choice(KINDS)
    subject, target = entity(rng), value(rng)
    prompt, query = rng.choice(cues(forms)), rng.choice(forms)
    return Ask(fill(prompt, subject), target, fill(query, subject))


def cues(forms: tuple[str, ...]) -> list[str]:
    """The wordings that a value completes."""
    return [form for form in forms if not form.endswith("?")]


def fill(form: str, subject: str) -> str:
    text = form.format(s=subject)
    return text[0].upper() + text[1:]


def turned(prompt: str, target: str) -> str | None:
    """The fact with its value first ("Ana Silva is the owner of X"), where that can be said."""
    match = re.fullmatch(r"The (.+) is", prompt)
    return f"{target} is the {match[1]}" if match else None
