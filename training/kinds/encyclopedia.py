"""Makers for kinds of facts that an encyclopedia has, about people, culture and places."""

from __future__ import annotations

from training.makers import CITIES, FIRST, LAST, MOODS, NOUNS, PRODUCTS, Rng, made_up

HYPHENED = (
    "Jean-Luc Anne-Marie Karl-Heinz Marie-Claire Hans-Peter Lars-Erik Ana-Sofia Mary-Ann".split()
)
OLDEN = """
    Adalbert Berengar Cunegund Drogo Edric Fulk Godwin Hedwig Isidore Jutta Leofric Matilda Odo
    Radegund Sigbert Theodora Ulric Wenceslas
""".split()


def scholar(r: Rng) -> str:
    initials = f"{r.choice('ABCDEFGHJKLMPRSTW')}. {r.choice('ABCDEFGHJKLMPRSTW')}."
    first, last = r.choice([r.choice(HYPHENED), initials, r.choice(FIRST)]), r.choice(LAST)
    last = r.choice([last, f"{last}-{r.choice(LAST)}"])
    return f"{r.choice(['', '', 'Professor ', 'Dr. '])}{first} {last}"


def historic(r: Rng) -> str:
    tail = r.choice(["the Elder", "the Younger", "the Bold", "the Pious", "II", "III", "IV"])
    where = r.choice([f"of {made_up(r)}", f"von {made_up(r)}"])
    return f"{r.choice(OLDEN)} {r.choice([tail, f'{tail} {where}', where])}"


def stream(r: Rng) -> str:
    form = r.choice(["the river {}", "the {} river", "the Upper {}", "the Lower {}"])
    return form.format(made_up(r))


def peak(r: Rng) -> str:
    form = r.choice(["Mount {}", "the {} Horn", "Great {} Peak", "Little {} Peak", "Mont {}"])
    return form.format(made_up(r))


def castle(r: Rng) -> str:
    form = r.choice(["{} Castle", "the castle of {}", "Fort {}", "Old {} Castle", "New {} Castle"])
    return form.format(made_up(r))


def church(r: Rng) -> str:
    saint = r.choice(["St. Mary", "St. Mark", "St. Martin", "St. Anne", "Holy Cross", "All Saints"])
    kind = r.choice(["the church of ", "the abbey of ", "the chapel of ", ""])
    return f"{kind}{saint} in {r.choice([made_up(r), r.choice(CITIES)])}"


def band(r: Rng) -> str:
    tail = r.choice(["s", "", f"s {r.randint(2, 99)}"])
    return f"the band {r.choice(['The ', ''])}{r.choice(MOODS)} {r.choice(NOUNS)}{tail}"


def tune(r: Rng) -> str:
    name, other = f"{r.choice(MOODS)} {r.choice(NOUNS)}", f"{r.choice(NOUNS)} of {made_up(r)}"
    return f'{r.choice(["the song ", "the single ", ""])}"{r.choice([name, other])}"'


def tv_episode(r: Rng) -> str:
    show = f"{r.choice(MOODS)} {r.choice(NOUNS)}"
    place_in = f"episode {r.randint(1, 26)} of season {r.randint(1, 12)} of {show}"
    return r.choice([place_in, f'the {show} episode "The {r.choice(NOUNS)}"'])


def grand_opera(r: Rng) -> str:
    start = r.choice(["the opera ", "the operetta "]) + r.choice(["La ", "Il ", "Die ", "Le ", ""])
    return f"{start}{made_up(r)}{r.choice(['', f' e {made_up(r)}', f' in {r.choice(CITIES)}'])}"


def gazette(r: Rng) -> str:
    names = "Gazette, Herald, Courier, Tribune, Morning Post, Evening Post, Observer"
    paper = r.choice(names.split(", "))
    return f"the {r.choice([r.choice(CITIES), made_up(r)])} {paper}"


def tongue(r: Rng) -> str:
    return r.choice(
        ["the {} language", "Old {}", "Northern {}", "Southern {}", "Modern {}"]
    ).format(made_up(r) + r.choice(["ish", "ese", "ian"]))


def honor(r: Rng) -> str:
    kind = r.choice(["Prize", "Medal", "Award", "Fellowship"])
    what = r.choice(["for Poetry", "for Physics", "for Peace", "for Drama", "in Geology"])
    return f"the {r.choice([r.choice(LAST), made_up(r)])} {kind} {what}"


def yearly_cup(r: Rng) -> str:
    names = "Winter Cup, Summer Cup, World Championships, Open, Grand Prix, Junior Championships"
    what = r.choice(names.split(", "))
    names = "speed skating, judo, rowing, fencing, ski jumping, archery, curling, cycling"
    sport = r.choice(names.split(", "))
    return f"the {r.randint(1930, 2029)} {r.choice(['', r.choice(CITIES) + ' '])}{what} in {sport}"


def battle(r: Rng) -> str:
    kind = r.choice(["Battle", "Siege", "Skirmish"])
    return f"the {r.choice(['', '', 'First ', 'Second ', 'Third '])}{kind} of {made_up(r)}"


def dynasty(r: Rng) -> str:
    return r.choice(
        ["the {} dynasty", "the House of {}", "the Later {} dynasty", "the Early {} dynasty"]
    ).format(made_up(r))


def video_game(r: Rng) -> str:
    tail = r.choice(["", " II", " III", f" {r.randint(4, 64)}", " Online"])
    return f"the game {r.choice([r.choice(MOODS), made_up(r)])} {r.choice(NOUNS)}{tail}"


def museum(r: Rng) -> str:
    names = "Glass, Clocks, Natural History, Modern Art, Railways, Toys, Textiles, Local History"
    about = r.choice(names.split(", "))
    return f"the {r.choice([r.choice(CITIES), r.choice(LAST), made_up(r)])} Museum of {about}"


def calendar_year(r: Rng) -> str:
    return str(r.randint(900, 2030))


def height_or_depth(r: Rng) -> str:
    return f"{r.randint(20, 8000):,} {r.choice(['metres', 'm', 'feet'])}"


def kilometres(r: Rng) -> str:
    return f"{r.randint(3, 2500):,} {r.choice(['kilometres', 'km', 'miles'])}"


def field_of_study(r: Rng) -> str:
    names = "topology, botany, linguistics, astrophysics, ethics, genetics"
    return r.choice(names.split(", "))


def institute(r: Rng) -> str:
    return r.choice(
        ["the University of {}", "{} College", "the {} Institute", "{} Polytechnic"]
    ).format(r.choice([r.choice(CITIES), made_up(r)]))


def regal_rank(r: Rng) -> str:
    names = "duke, count, bishop, abbot, chancellor, margrave, regent, admiral"
    return r.choice(names.split(", "))


def faith(r: Rng) -> str:
    names = "Lutheranism, Catholicism, Buddhism, Judaism, Islam, Orthodoxy, Calvinism, Hinduism"
    return r.choice(names.split(", "))


def ailment(r: Rng) -> str:
    names = "the plague, pneumonia, an arrow wound, drowning, smallpox, poison, a fall, typhus"
    return r.choice(names.split(", "))


def terrain(r: Rng) -> str:
    names = "granite, limestone, basalt, sandstone, slate, gneiss, marble, brick"
    return r.choice(names.split(", "))


def building_style(r: Rng) -> str:
    names = "Gothic, Romanesque, Baroque, Renaissance, Neoclassical, Norman, Rococo, Byzantine"
    return r.choice(names.split(", "))


def saint_name(r: Rng) -> str:
    return f"Saint {r.choice(OLDEN)}"


def music_style(r: Rng) -> str:
    names = "folk, punk, soul, synth-pop, blues, ska, reggae, grunge, bossa nova"
    return r.choice(names.split(", "))


def musical_instrument(r: Rng) -> str:
    names = "the oboe, the bassoon, the cello, the banjo, the organ, the harp, the accordion"
    return r.choice(names.split(", "))


def musical_key(r: Rng) -> str:
    return (
        f"{r.choice('ABCDEFG')}{r.choice(['', ' flat', ' sharp'])} {r.choice(['major', 'minor'])}"
    )


def album_name(r: Rng) -> str:
    return f"{r.choice(MOODS)} {r.choice(NOUNS)}{r.choice(['', ' Sessions', ' Live'])}"


def duration(r: Rng) -> str:
    return f"{r.randint(1, 240)} minutes{r.choice(['', f' and {r.randint(1, 59)} seconds'])}"


def leaning(r: Rng) -> str:
    names = "the liberals, the conservatives, the greens, the socialists, the centrists, the monarchists"
    return r.choice(names.split(", "))


def alphabet(r: Rng) -> str:
    return (
        r.choice(
            ["Latin", "Cyrillic", "Arabic", "Devanagari", "Georgian", "Greek", "Hebrew", "Ethiopic"]
        )
        + " letters"
    )


def word_order(r: Rng) -> str:
    return r.choice(
        [
            "subject, verb, object",
            "verb, subject, object",
            "subject, object, verb",
            "object, verb, subject",
        ]
    )


def crowd(r: Rng) -> str:
    return f"{r.randint(2, 90000):,} people"


def console(r: Rng) -> str:
    kind = r.choice(["Station", "Box", "Pocket", "Cube"])
    return f"the {r.choice(PRODUCTS)} {kind}{r.choice(['', ' 2', ' 3'])}"


def realm(r: Rng) -> str:
    return r.choice(
        ["the kingdom of {}", "the duchy of {}", "the republic of {}", "the {} empire"]
    ).format(made_up(r))


def heraldic_beast(r: Rng) -> str:
    beast = r.choice(["lion", "griffin", "bear", "boar", "stag", "swan"])
    return f"a {r.choice(['golden', 'black', 'red', 'silver', 'white'])} {beast}"


def handful(r: Rng) -> str:
    return str(r.randint(2, 60))


def beats(r: Rng) -> str:
    return str(r.randint(48, 210))


def learned_society(r: Rng) -> str:
    return r.choice(
        ["the Royal Society of {}", "the {} Academy", "the National Academy of {}"]
    ).format(made_up(r))
