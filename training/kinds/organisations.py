"""Makers for kinds of facts about companies' inner life and public offices."""

from __future__ import annotations

from training.makers import (
    CITIES,
    COUNTRIES,
    FIRST,
    LAST,
    MONTHS,
    NOUNS,
    THINGS,
    Rng,
    kin,
    made_up,
    person,
)

JOBS = """
    nurse welder accountant translator gardener receptionist archivist plumber cashier auditor
    electrician paralegal statistician typist surveyor cook caretaker technician
""".split()
FIELDS = """
    Fisheries Transport Housing Energy Forestry Labour Health Customs Tourism Water Mining Defence
    Statistics Culture Aviation Immigration
""".split()
WARDS = """
    cardiology neurology maternity oncology radiology paediatrics urology dermatology orthopaedics
    emergency psychiatry surgery
""".split()
GATHERINGS = """
    budget planning staff safety board strategy review onboarding sales design hiring kickoff
""".split()
LAWMATTERS = """
    Housing Fisheries Pensions Water Noise Elections Data Roads Energy Schools Gambling Forests
""".split()
DAYNAMES = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
PERILS = "fire flood theft earthquake hail vandalism lightning landslide subsidence war".split()
GOODS = (
    """
    printer paper|office chairs|steel bolts|copper wire|work gloves|brake pads|light bulbs|paint
    tins|garden hoses|wool blankets|glass jars|ceramic tiles|door hinges|plastic crates
""".replace("\n    ", " ")
    .strip()
    .split("|")
)
SUBJECTS = "maths history chemistry music geography Latin physics drawing biology Spanish".split()
PARTIES = "Liberal Green Labour Centre Conservative Farmers Reform Unity Progress Workers".split()


def vacancy(r: Rng) -> str:
    full = f"the {r.choice(['opening', 'vacancy'])} for a {r.choice(['senior ', 'junior ', ''])}"
    return r.choice(
        [f"{full}{r.choice(JOBS)} in {r.choice(CITIES)}", f"vacancy {r.randint(100, 9999)}"]
    )


def gathering(r: Rng) -> str:
    when = r.choice(
        [f"{r.choice(DAYNAMES)}'s", f"the {r.choice(MONTHS)}", f"the {r.choice(CITIES)}"]
    )
    return f"{when} {r.choice(GATHERINGS)} meeting"


def purchase(r: Rng) -> str:
    kind = r.choice(["purchase order ", "PO-", "PO ", "requisition "])
    return f"{kind}{r.randint(1000, 99999)}"


def coverage(r: Rng) -> str:
    kind = r.choice(["insurance policy", "home policy", "car policy", "the insurance contract"])
    return f"{kind} {r.choice('ABHKMP')}{r.choice(['', '-'])}{r.randint(1000, 99999)}"


def bank_branch(r: Rng) -> str:
    where = r.choice([f"{r.choice(NOUNS)} Street", r.choice(CITIES), f"{r.choice(LAST)} Square"])
    return f"the {where} branch of {r.choice([made_up(r), r.choice(LAST)])} Bank"


def ballot(r: Rng) -> str:
    kind = r.choice(["mayoral", "council", "senate", "presidential", "regional", "union"])
    return (
        f"the {r.randint(1950, 2034)} {kind} election in {r.choice([r.choice(CITIES), made_up(r)])}"
    )


def statute(r: Rng) -> str:
    kind, matter = r.choice(["Act", "Bill"]), r.choice(LAWMATTERS)
    return (
        f"the {matter} {kind} {r.randint(1950, 2034)}"
        if r.random() < 0.7
        else f"bill {r.randint(10, 999)}"
    )


def agency(r: Rng) -> str:
    kind = r.choice(["Ministry of {}", "{} Agency", "{} Authority", "Department of {}", "{} Board"])
    return f"the {made_up(r)} {kind.format(r.choice(FIELDS))}"


def precinct(r: Rng) -> str:
    kind = r.choice(["police station", "precinct", "police post"])
    where = r.choice([r.choice(NOUNS), r.choice(CITIES), f"{r.choice(NOUNS)} Street", made_up(r)])
    return r.choice([f"the {where} {kind}", f"{kind} {r.randint(1, 120)}"])


def schoolhouse(r: Rng) -> str:
    kind = r.choice(["Primary School", "High School", "Grammar School", "Academy"])
    return f"{r.choice([r.choice(LAST), r.choice(NOUNS), r.choice(CITIES), made_up(r)])} {kind}"


def library(r: Rng) -> str:
    where = r.choice([r.choice(LAST), r.choice(NOUNS), r.choice(CITIES), made_up(r)])
    return f"the {where} {r.choice(['Library', 'Public Library', 'Reading Room', 'Town Library'])}"


def ward(r: Rng) -> str:
    where = r.choice(
        [f"at {r.choice(LAST)} Hospital", f"of {made_up(r)} Clinic", f"in {r.choice(CITIES)}"]
    )
    return f"the {r.choice(WARDS)} {r.choice(['ward', 'department', 'unit'])} {where}"


def regiment(r: Rng) -> str:
    n = r.randint(1, 199)
    tail = "th" if n % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    arm = r.choice(["Infantry", "Engineer", "Signal", "Artillery", "Airborne", "Supply"])
    return f"the {n}{tail} {arm} {r.choice(['Battalion', 'Regiment', 'Brigade', 'Company'])}"


def embassy(r: Rng) -> str:
    home = r.choice([made_up(r), *COUNTRIES])
    return f"the {r.choice(['embassy', 'consulate', 'legation'])} of {home} in {r.choice(CITIES)}"


def shelf(r: Rng) -> str:
    kind = r.choice(["shelf", "rack", "bay", "bin"])
    return f"{kind} {r.choice('ABCDEFGH')}{r.choice(['-', ''])}{r.randint(1, 99)}{r.choice(['', '-1', '-2'])}"


def testament(r: Rng) -> str:
    return f"the {r.choice(['will', 'last will', 'testament', 'estate'])} of {r.choice([person, kin])(r)}"


def tender(r: Rng) -> str:
    work = r.choice(
        ["road repair", "school roof", "street lighting", "bus shelter", "sewer", "software"]
    )
    return r.choice(
        [
            f"tender {r.choice('ABKT')}-{r.randint(10, 9999)}",
            f"the {r.choice(CITIES)} {work} tender",
        ]
    )


def full_day(r: Rng) -> str:
    day, month = r.randint(1, 28), r.choice(MONTHS)
    return r.choice([f"{day} {month} {r.randint(1950, 2035)}", f"{month} {day}", f"{day} {month}"])


def a_year(r: Rng) -> str:
    return str(r.randint(1780, 2034))


def clock(r: Rng) -> str:
    h, m = r.randint(1, 12), r.choice(["", ":15", ":30", ":45"])
    return r.choice(
        [
            f"{h}{m} {r.choice(['am', 'pm', 'a.m.'])}",
            f"{r.randint(0, 23)}:{r.choice(['00', '30', '45'])}",
        ]
    )


def weekday(r: Rng) -> str:
    return r.choice(DAYNAMES)


def yearly_pay(r: Rng) -> str:
    return f"{r.choice('$€£')}{r.randint(18, 160)},{r.randint(0, 9)}00 {r.choice(['a year', 'per year'])}"


def big_sum(r: Rng) -> str:
    return f"{r.choice('$€£')}{r.choice([f'{r.randint(1, 980)} million', f'{r.randint(2, 980)},000', f'{r.randint(1, 9)}.{r.randint(1, 9)} billion'])}"


def people(r: Rng) -> str:
    return f"{r.randint(2, 2000):,} {r.choice(['people', 'people', 'persons'])}"


def count(r: Rng) -> str:
    return f"{r.randint(2, 10 ** r.randint(1, 5)):,}"


def few(r: Rng) -> str:
    return r.choice(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", str(r.randint(10, 90))]
    )


def spell(r: Rng) -> str:
    return f"{r.randint(2, 40)} {r.choice(['years', 'months', 'weeks', 'days'])}"


def short_spell(r: Rng) -> str:
    return f"{r.choice([10, 15, 20, 25, 30, 40, 45, 50, 60, 75, 90, 120])} minutes"


def weekly_hours(r: Rng) -> str:
    return f"{r.randint(8, 48)} hours a week"


def chamber(r: Rng) -> str:
    return r.choice(
        [f"room {r.randint(1, 599)}", f"the {r.choice(LAST)} room", f"hall {r.choice('ABCDEF')}"]
    )


def storey(r: Rng) -> str:
    return f"the {r.choice(['ground', 'first', 'second', 'third', 'fourth', 'fifth', 'top'])} floor"


def goods(r: Rng) -> str:
    return r.choice(
        [r.choice(GOODS), f"{r.choice(['red', 'large', 'small', 'spare'])} {r.choice(GOODS)}"]
    )


def peril(r: Rng) -> str:
    a, b = r.sample(PERILS, 2)
    return r.choice([a, f"{a} and {b}"])


def party(r: Rng) -> str:
    return f"the {r.choice(['', 'National ', 'Democratic ', 'New '])}{r.choice(PARTIES)} {r.choice(['Party', 'Alliance', 'List'])}"


def lesson(r: Rng) -> str:
    return r.choice(SUBJECTS)


def diploma(r: Rng) -> str:
    return f"a {r.choice(['degree', 'diploma', 'certificate', 'licence'])} in {r.choice([*SUBJECTS, 'nursing', 'law', 'welding'])}"


def township(r: Rng) -> str:
    return r.choice(
        [r.choice(CITIES), made_up(r), f"{made_up(r)} {r.choice(['Hill', 'Bay', 'Heath'])}"]
    )


def officer(r: Rng) -> str:
    return f"{r.choice(['Colonel', 'Major', 'Captain', 'General'])} {r.choice([person(r), r.choice(LAST)])}"


def load(r: Rng) -> str:
    return f"{r.randint(2, 90) * 10} {r.choice(['kg', 'kilos', 'pounds'])}"


def stretch(r: Rng) -> str:
    return f"{r.randint(20, 950)} {r.choice(['cm', 'mm', 'inches'])}"


def topic(r: Rng) -> str:
    return r.choice(
        [
            f"the {r.choice(THINGS)} {r.choice(['delay', 'budget', 'contract', 'move'])}",
            f"{r.choice(['last', 'next'])} year's {r.choice(GATHERINGS)} plan",
        ]
    )


def heirloom(r: Rng) -> str:
    what = r.choice(
        [
            "piano",
            "gold watch",
            "stamp collection",
            "cottage",
            "vineyard",
            "violin",
            "oak desk",
            "silver",
        ]
    )
    return f"the {what}{r.choice(['', ' in ' + r.choice(CITIES)])}"


def kinship(r: Rng) -> str:
    return f"{r.choice(['her', 'his', 'a'])} {r.choice(['niece', 'nephew', 'sister', 'brother', 'cousin', 'goddaughter'])} {r.choice(FIRST)}"


def mascot(r: Rng) -> str:
    return f"a {r.choice(['black', 'golden', 'flying', 'red', 'roaring'])} {r.choice(['bear', 'lion', 'goat', 'hawk', 'wolf', 'boar', 'stag'])}"


def motto(r: Rng) -> str:
    return f'"{r.choice(["First", "Always", "Never", "Ever", "Together"])} {r.choice(["forward", "faithful", "ready", "in line", "afraid"])}"'


def fine(r: Rng) -> str:
    return r.choice(
        [
            f"a fine of {r.choice('$€£')}{r.randint(1, 90)}00",
            f"up to {r.randint(2, 10)} years in prison",
        ]
    )


def penny(r: Rng) -> str:
    return f"{r.randint(5, 95)} {r.choice(['cents', 'pence'])} {r.choice(['a day', 'per day'])}"


def trading(r: Rng) -> str:
    return f"{r.choice(['bank transfer', 'credit card', 'cheque', 'direct debit', 'letter of credit'])}"
