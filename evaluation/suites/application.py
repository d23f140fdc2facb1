"""Facts that applications write: 50 kinds that no public set has and training never saw.

Each kind is a maker of entities, a maker of values, a cue, another completion, and a question.
Near misses ask the same of another entity of the same maker, at random, that was never stored: it
may differ in a digit or share no word.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evaluation.api import Tenant
from evaluation.result import Result

Make = Callable[[random.Random], str]


def _one(words: str) -> Make:
    options = words.split(",")
    return lambda r: r.choice(options)


def _coded(prefix: str, low: int, high: int) -> Make:
    return lambda r: f"{prefix}{r.randint(low, high)}"


def _measured(low: int, high: int, unit: str) -> Make:
    return lambda r: f"{r.randint(low, high)} {unit}"


def _joined(*makers: Make) -> Make:
    return lambda r: " ".join(make(r) for make in makers)


NAME = _joined(
    _one("Abel,Birgit,Carmen,Dario,Edda,Florin,Greta,Hamid,Irina,Joao,Katya,Leif,Mona,Nils,Oona"),
    _one("Ahlgren,Bianchi,Cordova,Drexler,Enqvist,Ferrante,Galindo,Hofer,Iversen,Juric,Kaplan"),
)
TOWN = _one("Aarhus,Bilbao,Coimbra,Dresden,Essen,Faro,Ghent,Haifa,Izmir,Jena,Kiel,Lugano,Malaga")
CLOCK = _one("6:05,7:20,8:35,9:50,11:10,13:05,14:20,16:35,17:50,19:10,20:25")
DAY = _one("Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday")
PET = _joined(_one("the parrot,the terrier,the rabbit,the pony,the gecko"),
              _one("Bisou,Kiwi,Momo,Pepper,Rollo,Tango,Ziggy,Waffle"))  # fmt: skip
DISH = _joined(
    _one("smoked,braised,pickled,roasted,spiced"),
    _one("fennel soup,barley salad,plum tart,lentil curry,cod stew,beet pie"),
)
FLIGHT = _coded("flight KX ", 100, 999)
SHIP = _joined(_one("the ferry,the tanker,the trawler,the tug"),
               _one("Astrid,Borealis,Calypso,Dagny,Electra,Fortuna"))  # fmt: skip
CASE = _coded("docket ", 1000, 9999)
LAB = _joined(_one("sample,specimen,culture"), _coded("Q", 100, 999))
COURSE = _joined(_one("Algebra,Botany,Ceramics,Drama,Ethics,Folklore"), _coded("", 101, 499))
TRAIL = _joined(_one("Heron,Badger,Cedar,Granite,Juniper,Otter"), _one("Trail,Loop,Ridge,Pass"))
BREW = _joined(_one("Amber,Copper,Harvest,Midnight,Winter"), _one("Ale,Stout,Cider,Porter"))
GALLERY = _coded("hall ", 1, 80)
VAN = _coded("van ", 10, 99)
DRUG = _one("Velprazol,Dorminex,Cardulin,Nexivar,Optirel,Sanovit,Trebicor,Lumaderm")
TEAM = _joined(TOWN, _one("Falcons,Comets,Badgers,Pilots,Miners,Lynx"))
PLANT = _one("the silver pothos,the dwarf ficus,the bog myrtle,the snow fern,the musk orchid")
PLANET = _joined(_one("moon,planet,asteroid"), _coded("ZR-", 100, 999))
BOOK = _one("The Glass Orchard,A Map of Salt,Nine Winters,The Tin Harbour,Letters to Osk,Low Tide")
FARM = _joined(_one("Maple,Stony,Lower,Upper,Mill"), _one("Farm,Acre,Croft,Orchard"))
GUEST = _coded("suite ", 100, 999)
TANK = _joined(_one("tank,silo,boiler,kiln"), _coded("", 1, 40))

# fmt: off
_TABLE: tuple[tuple[Make, Make, str], ...] = (
    (PET, _coded("chip ", 10000, 99999),
        "The microchip of {s} is|{s} carries the microchip|Which microchip does {s} carry?"),
    (PET, _one("tuna,millet,clover,crickets,hay,pumpkin"),
        "The favorite food of {s} is|{s} likes best to eat|What does {s} like to eat?"),
    (PET, NAME, "The vet of {s} is|{s} is treated by|Who treats {s}?"),
    (DISH, _one("celery,mustard,sesame,lupin,egg,soy"),
        "The allergen in {s} is|{s} contains the allergen|Which allergen is in {s}?"),
    (DISH, _measured(140, 240, "degrees"),
        "The oven temperature for {s} is|{s} bakes at|How hot must the oven be for {s}?"),
    (DISH, NAME, "The recipe of {s} comes from|{s} was invented by|Who invented {s}?"),
    (FLIGHT, _coded("C", 1, 60),
        "The gate of {s} is|{s} boards at gate|At which gate does {s} board?"),
    (FLIGHT, TOWN, "The destination of {s} is|{s} flies to|Where does {s} fly?"),
    (FLIGHT, NAME, "The captain of {s} is|{s} is flown by|Who flies {s}?"),
    (SHIP, TOWN, "The home port of {s} is|{s} is registered in|Where is {s} registered?"),
    (SHIP, _measured(20, 400, "tons"),
        "The cargo of {s} weighs|{s} is loaded with|How heavy is the cargo of {s}?"),
    (SHIP, CLOCK, "The departure of {s} is at|{s} sails at|At what time does {s} sail?"),
    (CASE, NAME, "The judge in {s} is|{s} is heard by|Who hears {s}?"),
    (CASE, DAY, "The hearing of {s} is on|{s} will be heard on|On which day is {s} heard?"),
    (CASE, _coded("room ", 1, 90),
        "The courtroom of {s} is|{s} takes place in|In which room does {s} take place?"),
    (LAB, _measured(2, 80, "degrees"),
        "The storage temperature of {s} is|{s} must be kept at|How cold must {s} be kept?"),
    (LAB, NAME, "The donor of {s} is|{s} was taken from|From whom was {s} taken?"),
    (LAB, _coded("freezer ", 1, 30),
        "The freezer of {s} is|{s} is stored in|In which freezer is {s}?"),
    (COURSE, NAME, "The lecturer of {s} is|{s} is taught by|Who teaches {s}?"),
    (COURSE, DAY, "The weekly class of {s} is on|{s} meets every|On which day does {s} meet?"),
    (COURSE, _coded("auditorium ", 1, 20),
        "The lecture room of {s} is|{s} is held in|Where is {s} held?"),
    (COURSE, _measured(2, 12, "credits"),
        "The credits for {s} are|Passing {s} earns|How many credits does {s} earn?"),
    (TRAIL, _measured(2, 40, "miles"), "The length of {s} is|{s} stretches over|How long is {s}?"),
    (TRAIL, _measured(200, 2900, "meters"),
        "The highest point of {s} is|{s} climbs up to|How high does {s} climb?"),
    (TRAIL, _one("blue,yellow,red,white,black,orange"),
        "The marker color of {s} is|{s} is marked in|In which color is {s} marked?"),
    (BREW, _one("cherry,spruce,honey,smoke,ginger,plum"),
        "The secret note in {s} is|{s} is flavored with|What is {s} flavored with?"),
    (BREW, TOWN, "The brewery of {s} is in|{s} is brewed in|Where is {s} brewed?"),
    (GALLERY, NAME, "The painter shown in {s} is|{s} shows works by|Whose works hang in {s}?"),
    (GALLERY, _measured(10, 300, "visitors"),
        "The capacity of {s} is|{s} admits|How many people fit in {s}?"),
    (VAN, NAME, "The driver of {s} is|{s} is driven by|Who drives {s}?"),
    (VAN, _coded("bay ", 1, 70), "The loading bay of {s} is|{s} loads at|Where does {s} load?"),
    (VAN, _measured(20, 40, "psi"),
        "The tire pressure of {s} is|"
        "The tires of {s} are pumped to|How hard are the tires of {s}?"),
    (DRUG, _measured(5, 800, "mg"),
        "The daily dose of {s} is|Of {s} one takes|How much {s} should I take?"),
    (DRUG, _one("nausea,drowsiness,rash,thirst,hiccups"),
        "The main side effect of {s} is|{s} can cause|What can {s} cause?"),
    (DRUG, _one("gout,asthma,migraine,eczema,insomnia,vertigo"),
        "The disease that {s} treats is|{s} is prescribed against|What is {s} prescribed for?"),
    (TEAM, NAME, "The coach of {s} is|{s} are trained by|Who coaches {s}?"),
    (TEAM, _one("owl,stag,wolf,heron,bison,crab"),
        "The mascot of {s} is|{s} have as their mascot a|Which animal is the mascot of {s}?"),
    (TEAM, _coded("arena ", 1, 30), "The home ground of {s} is|{s} play at|Where do {s} play?"),
    (PLANT, _measured(2, 30, "days"),
        "The watering interval of {s} is|{s} is watered every|How often is {s} watered?"),
    (PLANT, _one("peat,sand,gravel,loam,clay,bark"),
        "The best soil for {s} is|{s} grows well in|In what soil does {s} grow?"),
    (PLANET, _measured(3, 900, "hours"),
        "The rotation of {s} takes|{s} turns once in|How long does {s} take to turn?"),
    (PLANET, NAME, "The discoverer of {s} is|{s} was first seen by|Who discovered {s}?"),
    (BOOK, _coded("shelf ", 1, 400),
        "The shelf mark of {s} is|{s} stands on|On which shelf is {s}?"),
    (BOOK, NAME, "The translator of {s} is|{s} was translated by|Who translated {s}?"),
    (BOOK, NAME, "The borrower of {s} is|{s} is on loan to|Who has borrowed {s}?"),
    (FARM, _one("rye,hops,flax,oats,quinces,mustard"),
        "The main crop of {s} is|{s} mostly grows|What does {s} grow?"),
    (FARM, _measured(4, 900, "hectares"), "The area of {s} is|{s} covers|How large is {s}?"),
    (GUEST, CLOCK,
        "The wake-up call for {s} is at|{s} wants to be woken at|When does {s} want to be woken?"),
    (GUEST, _one("foam,feather,wool,buckwheat,latex"),
        "The pillow wish of {s} is|{s} asked for a pillow of|Which pillow did {s} ask for?"),
    (TANK, _measured(1, 16, "bar"),
        "The pressure limit of {s} is|{s} is rated for|What pressure can {s} stand?"),
)
# fmt: on
KINDS = tuple((entity, value, forms.split("|")) for entity, value, forms in _TABLE)


@dataclass(frozen=True, slots=True)
class Item:
    prompt: str
    target: str
    paraphrases: tuple[str, str]  # a completion, a question
    near: str  # the cue, of an entity that was never stored


def _filled(form: str, entity: str) -> str:
    text = form.format(s=entity)
    return text[0].upper() + text[1:]


def items(n: int, seed: int = 11) -> list[Item]:
    """`n` facts, as many of each kind as of any other; no cue twice, no near miss stored."""
    rng, found = random.Random(seed), dict[str, Item]()
    nears: set[str] = set()
    for attempt in range(20 * n):
        entity, value, forms = KINDS[attempt % len(KINDS)]
        subject, other = entity(rng), entity(rng)
        cue, completion, question = (_filled(form, subject) for form in forms)
        near = _filled(forms[0], other)
        if (
            len(found) < n
            and cue != near
            and cue not in found
            and cue not in nears
            and near not in found
        ):
            found[cue] = Item(cue, value(rng), (completion, question), near)
            nears.add(near)
    return list(found.values())


def run(tenant: Tenant, data: Path, n: int) -> Result:
    """`data` is not needed: the facts are made here."""
    facts = items(n)
    result = Result("application", len(facts))
    tenant.write([{"prompt": f.prompt, "target": f.target} for f in facts])
    targets = [f.target for f in facts]
    prompts = [f.prompt for f in facts]
    result.matches("edit", prompts, tenant.ask(prompts), targets)
    wordings = [wording for f in facts for wording in f.paraphrases]
    answers = tenant.ask(wordings)
    result.matches("paraphrase", wordings, answers, [f.target for f in facts for _ in range(2)])
    for i, name in enumerate(("paraphrase, completions", "paraphrase, questions")):
        result.matches(name, wordings[i::2], answers[i::2], targets)
    nears = list(dict.fromkeys(f.near for f in facts))
    result.equal("near miss equals base", nears, *tenant.beside_base(nears))
    return result
