"""Makers for kinds of facts about software, machines, transport and things of daily life."""

from __future__ import annotations

from training.makers import (
    CITIES,
    COUNTRIES,
    FIRST,
    LAST,
    MOODS,
    NOUNS,
    THINGS,
    Rng,
    color,
    made_up,
)

RESOURCES = "orders users carts refunds coupons sessions tokens invoices labels reviews stocks quotes".split()
SHORE = [
    "Harbor",
    "Harbour",
    "Mill",
    "Millers",
    "Abbey",
    "Abbot",
    "Weir",
    "Foundry",
    "Castle",
    "Ferryman",
]


def endpoint(r: Rng) -> str:
    path = f"/v{r.randint(1, 4)}/{r.choice(RESOURCES)}{r.choice(['', '/search', '/export', '/{id}', '/bulk'])}"
    return r.choice(
        [f"{r.choice(['GET', 'POST', 'PUT', 'DELETE'])} {path}", f"the endpoint {path}"]
    )


def db_table(r: Rng) -> str:
    name = f"{r.choice(RESOURCES)}{r.choice(['', '_archive', '_log', '_daily', '_old', '_v2', '_history', '_tmp'])}"
    return f"the {r.choice(['table', 'view', 'table', 'collection'])} {r.choice(['', r.choice(THINGS) + '.'])}{name}"


def feature_flag(r: Rng) -> str:
    verb = r.choice(["enable", "show", "hide", "use", "skip", "new"])
    return f"the flag {verb}{r.choice('-_')}{r.choice(RESOURCES)}{r.choice(['', '-v2', '-beta', '-page', '-banner'])}"


def rack_server(r: Rng) -> str:
    kind = r.choice(["server", "node", "rack", "blade", "storage box"])
    return f"{kind} {r.choice(['', r.choice('ABCDEF')])}{r.randint(1, 99):02d}{r.choice(['', 'a', 'b'])}"


def support_ticket(r: Rng) -> str:
    return f"{r.choice(['support ticket', 'bug report', 'complaint', 'incident'])} #{r.randint(100, 99999)}"


def shop_machine(r: Rng) -> str:
    kind = r.choice(
        [
            "lathe",
            "press",
            "milling machine",
            "drill",
            "conveyor",
            "packing line",
            "robot arm",
            "laser cutter",
        ]
    )
    return r.choice(
        [f"{kind} {r.randint(1, 60)}", f"{kind} {r.choice('ABCDEH')}{r.randint(1, 30)}"]
    )


def bridge(r: Rng) -> str:
    kind = r.choice(["bridge", "tunnel", "viaduct", "footbridge", "underpass"])
    return r.choice(
        [f"the {r.choice(SHORE)} {kind}", f"the {made_up(r)} {kind}", f"{kind} {r.randint(1, 300)}"]
    )


def elevator(r: Rng) -> str:
    kind = r.choice(["elevator", "lift", "freight elevator", "escalator"])
    return f"{kind} {r.choice([str(r.randint(1, 48)), r.choice('ABCD') + str(r.randint(1, 12))])}"


def rail_line(r: Rng) -> str:
    return r.choice(
        [
            f"line {r.choice(['', 'S', 'U', 'R'])}{r.randint(1, 90)}",
            f"the {made_up(r)} railway",
            f"the {r.choice(CITIES)}-{r.choice(SHORE)} line",
            f"train {r.randint(100, 9999)}",
        ]
    )


def bicycle(r: Rng) -> str:
    kind = r.choice(["bike", "cargo bike", "e-bike", "tandem", "rental bike", "racing bike"])
    return r.choice([f"{kind} {r.randint(1, 900)}", f"{r.choice(FIRST)}'s {kind}"])


def wedding(r: Rng) -> str:
    a, b = r.sample(FIRST, 2)
    return r.choice(
        [f"the wedding of {a} and {b}", f"{a} and {b}'s wedding", f"the {r.choice(LAST)} wedding"]
    )


def satellite(r: Rng) -> str:
    name = r.choice(
        [made_up(r), r.choice(["Skylark", "Heron", "Beacon", "Argus", "Polaris", "Sentry"])]
    )
    return f"{r.choice(['satellite ', 'the satellite ', ''])}{name}-{r.randint(1, 40)}{r.choice(['', 'A', 'B'])}"


def garment(r: Rng) -> str:
    what = r.choice(["coat", "jacket", "gown", "waistcoat", "skirt", "suit", "blouse", "cape"])
    return r.choice(
        [
            f"{r.choice(FIRST)}'s {what}",
            f"{what} no. {r.randint(10, 999)}",
            f"the {color(r)} {what}",
        ]
    )


def instrument(r: Rng) -> str:
    what = r.choice(
        ["violin", "viola", "cello", "guitar", "clarinet", "trumpet", "harp", "accordion", "piano"]
    )
    return r.choice(
        [
            f"{r.choice(FIRST)}'s {what}",
            f"{what} {r.randint(1, 400)}",
            f"the {r.choice(MOODS)} {what}",
        ]
    )


def market_stall(r: Rng) -> str:
    kind = r.choice(["stall", "stand", "kiosk", "booth"])
    return r.choice(
        [
            f"{kind} {r.randint(1, 240)}",
            f"{kind} {r.choice('ABCDE')}{r.randint(1, 60)}",
            f"{r.choice(LAST)}'s {kind}",
        ]
    )


def team_name(r: Rng) -> str:
    return f"the {r.choice(THINGS)} {r.choice(['team', 'squad', 'crew', 'group'])}"


def call_rate(r: Rng) -> str:
    return f"{r.randint(1, 90) * 10} {r.choice(['calls', 'requests'])} per {r.choice(['second', 'minute', 'hour'])}"


def millis(r: Rng) -> str:
    return r.choice([f"{r.randint(5, 900)} ms", f"{r.randint(1, 40)} seconds"])


def api_scope(r: Rng) -> str:
    return f"{r.choice(RESOURCES)}:{r.choice(['read', 'write', 'admin', 'delete'])}"


def http_code(r: Rng) -> str:
    return str(r.choice([400, 401, 403, 404, 409, 410, 415, 422, 429, 503]))


def column(r: Rng) -> str:
    return f"{r.choice(RESOURCES)[:-1]}_{r.choice(['id', 'uuid', 'key', 'date', 'ref', 'hash'])}"


def row_count(r: Rng) -> str:
    return r.choice(
        [f"{r.randint(2, 900)} million", f"{r.randint(1, 999)},{r.randint(0, 999):03d}"]
    )


def cron(r: Rng) -> str:
    return r.choice(
        [
            "every hour",
            "every night",
            "once a week",
            "twice a day",
            f"every {r.randint(2, 50)} minutes",
        ]
    )


def audience(r: Rng) -> str:
    return r.choice(
        [
            "beta testers",
            "employees",
            "new customers",
            "Android users",
            f"users in {r.choice(COUNTRIES)}",
            "trial accounts",
        ]
    )


def year(r: Rng) -> str:
    return str(r.randint(1840, 2030))


def watts(r: Rng) -> str:
    return f"{r.randint(1, 90) * 10} {r.choice(['W', 'kW'])}"


def metres(r: Rng) -> str:
    return r.choice(
        [
            f"{r.randint(2, 900)} m",
            f"{r.randint(2, 900)} metres",
            f"{r.randint(1, 40)}.{r.randint(1, 9)} m",
        ]
    )


def tonnes(r: Rng) -> str:
    return f"{r.randint(1, 90)}{r.choice(['', '.5'])} {r.choice(['t', 'tonnes'])}"


def kilos(r: Rng) -> str:
    return f"{r.randint(2, 150) * 5} {r.choice(['kg', 'kilos'])}"


def speed(r: Rng) -> str:
    return r.choice([f"{r.randint(2, 60) * 5} km/h", f"{r.randint(10, 180)} mph"])


def rail_stop(r: Rng) -> str:
    return r.choice(
        [
            f"{made_up(r)} Central",
            f"{r.choice(CITIES)} {r.choice(['North', 'South', 'East', 'West'])}",
            f"{r.choice(SHORE)} Road",
            made_up(r),
        ]
    )


def floor_no(r: Rng) -> str:
    return r.choice(
        [
            f"floor {r.randint(1, 60)}",
            f"level {r.randint(-4, 40)}",
            "the basement",
            "the roof terrace",
            "the lobby",
        ]
    )


def coolant(r: Rng) -> str:
    return r.choice(
        [
            "graphite grease",
            "mineral oil",
            "silicone spray",
            "lithium grease",
            f"ISO {r.choice([32, 46, 68])} oil",
        ]
    )


def music_piece(r: Rng) -> str:
    return r.choice(
        [
            f"the {made_up(r)} waltz",
            f"{r.choice(MOODS)} {r.choice(NOUNS)}",
            f"a slow {r.choice(['foxtrot', 'rumba', 'tango'])}",
        ]
    )


def rocket(r: Rng) -> str:
    return f"{r.choice(['a', 'an old'])} {made_up(r)} {r.randint(1, 9)} rocket"


def orbit_km(r: Rng) -> str:
    return f"{r.randint(300, 36000):,} km"


def centimetres(r: Rng) -> str:
    return f"{r.randint(20, 160)} cm"


def few(r: Rng) -> str:
    return str(r.randint(2, r.choice([12, 40])))


def headcount(r: Rng) -> str:
    return str(r.randint(20, 400))


def ride_time(r: Rng) -> str:
    return r.choice(
        [
            f"{r.randint(2, 90)} minutes",
            f"{r.randint(2, 9)} hours",
            f"{r.randint(1, 5)} h {r.randint(1, 59)} min",
        ]
    )


def capacity(r: Rng) -> str:
    return f"{r.choice([r.randint(1, 900), 2 ** r.randint(3, 10)])} {r.choice(['GB', 'TB', 'GiB'])}"


def flag_value(r: Rng) -> str:
    return r.choice(
        [
            "true",
            "false",
            "on",
            "off",
            "control",
            f"variant {r.choice('ABCD')}",
            f"option {r.randint(1, 9)}",
        ]
    )
