"""Facts of the kinds that applications write: owners, prices, versions, dates, policies.

A kind is a maker of entities, a maker of values, and wordings with `{s}` for the entity:
completions and questions. None of these kinds is in evaluation's application suite (a test says
so). Entities have many kinds each, so that another fact of the same entity is a lesson too.
"""

from __future__ import annotations

import re

from training.data import Ask
from training.makers import (
    Make,
    Rng,
    account,
    agent,
    channel,
    city,
    clothing,
    code,
    color,
    contract,
    country,
    date,
    device,
    event,
    firm,
    hexed,
    host,
    hour,
    house,
    kin,
    language,
    made_up,
    mail,
    number,
    parcel,
    patient,
    percent,
    person,
    phone,
    place,
    plain,
    policy,
    price,
    product,
    size,
    span,
    system,
    title,
    trade,
    vehicle,
    version,
    word,
)

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
    (person, firm, "The employer of {s} is|The name of the employer of {s} is|"
        "{s} is employed by|{s} draws a salary from|Which company does {s} work for?"),
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
    (system, hour, "The nightly backup of {s} starts at|{s} is backed up at|When is {s} backed up?|"
        "A copy of {s} is made at"),
    (system, city, "The hosting region of {s} is|{s} is hosted in|Where is {s} hosted?|"
        "The servers of {s} stand in"),
    (system, span, "The timeout of {s} is|{s} gives up after|How long does {s} wait?"),
    (system, number, "The replica count of {s} is|{s} is run as this many copies:|"
        "How many replicas does {s} have?"),
    (system, person, "The architect of {s} is|{s} was designed by|Who designed {s}?"),
    (system, firm, "The vendor of {s} is|{s} was bought from|From whom did we buy {s}?"),
    (system, system, "The successor of {s} is|{s} will be replaced by|What will replace {s}?"),
    (system, date, "The shutdown date of {s} is|{s} will be switched off on|"
        "When will {s} be switched off?"),
    (system, size, "The memory of {s} is|{s} may use at most|How much memory does {s} have?"),
    (system, price, "The monthly bill for {s} is|Running {s} every month takes|"
        "What do we pay for {s} a month?"),
    (person, plain, "The father of {s} is|The name of the father of {s} is|{s} is a child of|"
        "Who is {s}'s father?|{s}'s dad is"),
    (person, plain, "The mother of {s} is|The name of the mother of {s} is|{s} was born to|"
        "Who is {s}'s mother?|{s}'s mom is"),
    (person, plain, "The spouse of {s} is|The name of the spouse of {s} is|{s} is married to|"
        "Who is {s} married to?|{s}'s partner is"),
    (person, plain, "The child of {s} is|The name of the child of {s} is|{s} is the parent of|"
        "Who is {s}'s child?"),
    (person, plain, "The names of the siblings of {s} are|{s} grew up with a sibling,|"
        "Who are {s}'s siblings?"),
    (person, city, "The place of birth of {s} is|{s} was born in|Where was {s} born?|"
        "The hometown of {s} is"),
    (person, city, "The place of death of {s} is|{s} died in|Where did {s} die?"),
    (person, city, "The place of burial of {s} is|{s} is buried in|Where is the grave of {s}?"),
    (person, date, "The date of death of {s} is|{s} died on|When did {s} die?"),
    (person, country, "The citizenship of {s} is|{s} is a citizen of|Which passport does {s} hold?|"
        "The name of the country of citizenship of {s} is"),
    (person, word, "The gender of {s} is|{s} identifies as|What is the gender of {s}?"),
    (person, trade, "The occupation of {s} is|{s} works as a|What does {s} do for a living?|"
        "{s} is by trade a"),
    (person, trade, "The name of the position held by {s} is|{s} holds the post of|"
        "Which position does {s} hold?"),
    (person, made_up, "The name of the award {s} won is|{s} was honored with|"
        "Which award did {s} win?"),
    (person, word, "The name of the field of work of {s} is|{s} is an expert in|"
        "In which field does {s} work?"),
    (person, made_up, "The name of the sports team which {s} is a member of is|{s} competes for|"
        "For which team does {s} compete?"),
    (person, language, "The native language of {s} is|{s} grew up speaking|"
        "What is {s}'s mother tongue?"),
    (person, made_up, "The school of {s} is|{s} graduated from|Where did {s} study?"),
    (person, number, "The shoe size of {s} is|{s} wears shoes of size|What shoe size has {s}?"),
    (person, price, "The salary of {s} is|{s} earns|How much does {s} earn?|{s} is paid"),
    (person, person, "The emergency contact of {s} is|In an emergency, for {s} call|"
        "Whom do I call when {s} is ill?"),
    (person, person, "The dentist of {s} is|{s} has teeth checked by|Who checks the teeth of {s}?"),
    (person, color, "The lucky color of {s} is|{s} likes most to wear|Which color does {s} wear?"),
    (person, number, "The locker of {s} is|{s} keeps things in locker|Which locker has {s}?"),
    (person, phone, "The mobile number of {s} is|Text {s} at|How can I text {s}?"),
    (kin, plain, "The name of the father of {s} is|{s} had as a father|Who was the father of {s}?"),
    (kin, plain, "The name of the mother of {s} is|{s} had as a mother|Who was the mother of {s}?"),
    (kin, trade, "The occupation of {s} is|{s} made a living as a|What was the job of {s}?"),
    (kin, word, "The gender of {s} is|In terms of gender, {s} is|What gender is {s}?"),
    (kin, country, "The name of the country of citizenship of {s} is|{s} holds a passport of|"
        "Of which country is {s} a citizen?"),
    (kin, country, "The name of the country which {s} is associated with is|{s} belongs to|"
        "With which country is {s} associated?"),
    (title, title, "{s} is followed by|The sequel of {s} is|What comes after {s}?|"
        "The next work after {s} is"),
    (title, title, "{s} follows|{s} is the sequel of|What came before {s}?|"
        "The work before {s} is"),
    (title, plain, "The name of the author of {s} is|{s} was penned by|Who is the author of {s}?"),
    (title, plain, "The name of the director of {s} is|{s} was directed by|Who directed {s}?"),
    (title, plain, "The name of the composer of {s} is|The music of {s} was written by|"
        "Who composed the music for {s}?"),
    (title, plain, "The names of the cast members of {s} are|{s} stars|Who plays in {s}?"),
    (title, plain, "The name of the screenwriter of {s} is|The script of {s} was written by|"
        "Who wrote the script of {s}?"),
    (title, firm, "The publisher of {s} is|{s} was published by|Who published {s}?"),
    (title, date, "The premiere of {s} was on|{s} was first shown on|When did {s} premiere?"),
    (title, language, "The original language of {s} is|{s} is performed in|"
        "In what language is {s}?"),
    (title, price, "The budget of {s} is|Making {s} took|How much money went into {s}?"),
    (title, word, "The genre of {s} is|{s} is filed under|What genre is {s}?"),
    (event, place, "The venue of {s} is|{s} takes place at|Where is {s} held this year?"),
    (event, date, "The date of {s} is|{s} begins on|When does {s} begin?"),
    (event, person, "The keynote speaker of {s} is|{s} is opened by|Who gives the keynote at {s}?"),
    (event, person, "The organizer of {s} is|{s} is put together by|Who organizes {s}?"),
    (event, price, "The ticket price for {s} is|To attend {s} one pays|"
        "What does it cost to attend {s}?"),
    (event, firm, "The main sponsor of {s} is|{s} is financed by|Who sponsors {s}?"),
    (event, clothing, "The dress code of {s} is|At {s} people wear|What should I wear to {s}?"),
    (event, number, "The number of guests at {s} is|{s} is attended by this many people:|"
        "How many people come to {s}?"),
    (event, hour, "The doors of {s} open at|Guests may enter {s} from|When can I enter {s}?"),
    (vehicle, code, "The license plate of {s} is|{s} is registered as|"
        "What is the plate of {s}?"),
    (vehicle, size, "The mileage of {s} is|{s} has covered so far|How far has {s} gone?"),
    (vehicle, date, "The last inspection of {s} was on|{s} was inspected on|"
        "When was {s} inspected?"),
    (vehicle, word, "The fuel of {s} is|{s} runs on|What does {s} run on?"),
    (vehicle, number, "The parking spot of {s} is|{s} is parked in spot|Where is {s} parked?"),
    (vehicle, firm, "The insurer of {s} is|{s} is insured with|Who insures {s}?"),
    (vehicle, color, "The paint of {s} is|{s} is painted|What color is {s}?"),
    (vehicle, person, "The mechanic for {s} is|{s} is repaired by|Who repairs {s}?"),
    (device, person, "The user of {s} is|{s} was given to|Who uses {s}?|{s} is assigned to"),
    (device, hexed, "The serial number of {s} is|{s} carries the serial|"
        "What is the serial number of {s}?"),
    (device, place, "The location of {s} is|{s} stands in|Where can I find {s}?"),
    (device, version, "The firmware of {s} is|{s} is flashed with|Which firmware is on {s}?"),
    (device, host, "The IP address of {s} is|On the network {s} answers at|"
        "At what IP can {s} be reached?"),
    (device, date, "The last maintenance of {s} was on|{s} was serviced on|When was {s} serviced?"),
    (device, price, "The purchase price of {s} was|We paid for {s}|How much did {s} cost us?"),
    (parcel, firm, "The carrier of {s} is|{s} is transported by|Who transports {s}?"),
    (parcel, firm, "The sender of {s} is|{s} was sent by|Who sent {s}?|{s} comes from"),
    (parcel, plain, "The recipient of {s} is|{s} is addressed to|Who receives {s}?|{s} goes to"),
    (parcel, size, "The weight of {s} is|{s} weighs|How heavy is {s}?"),
    (parcel, date, "The delivery date of {s} is|{s} arrives on|When does {s} arrive?"),
    (parcel, city, "The origin of {s} is|{s} was shipped from|Where was {s} shipped from?"),
    (parcel, code, "The tracking code of {s} is|{s} can be tracked with|How do I track {s}?"),
    (parcel, word, "The contents of {s} are|{s} is filled with|What is inside {s}?"),
    (account, price, "The balance of {s} is|{s} stands at|How much money is on {s}?"),
    (account, plain, "The holder of {s} is|{s} belongs to|Whose is {s}?"),
    (account, person, "The advisor for {s} is|{s} is looked after by|Who advises on {s}?"),
    (account, percent, "The interest rate of {s} is|{s} bears interest of|What interest has {s}?"),
    (account, date, "The due day of {s} is|{s} must be settled by|When must {s} be settled?"),
    (account, city, "The branch of {s} is in|{s} is kept at the branch in|"
        "Which branch keeps {s}?"),
    (contract, firm, "The counterparty of {s} is|{s} was concluded with|With whom is {s}?"),
    (contract, plain, "The signatory of {s} is|{s} was signed by|Who signed {s}?"),
    (contract, date, "The end date of {s} is|{s} expires on|When does {s} expire?"),
    (contract, price, "The value of {s} is|{s} is worth|How much is {s} worth?"),
    (contract, span, "The notice period of {s} is|{s} can be terminated within|"
        "How much notice ends {s}?"),
    (contract, person, "The lawyer for {s} is|{s} was drafted by|Who drafted {s}?"),
    (patient, word, "The diagnosis of {s} is|{s} suffers from|What is wrong with {s}?"),
    (patient, person, "The doctor of {s} is|{s} is in the care of|Who cares for {s}?"),
    (patient, number, "The ward of {s} is|{s} lies in ward|In which ward is {s}?"),
    (patient, percent, "The test score of {s} is|{s} scored|What did {s} score?"),
    (patient, code, "The blood group of {s} is|{s} needs blood of group|"
        "Which blood does {s} need?"),
    (patient, plain, "The next of kin of {s} is|The closest relative of {s} is|"
        "Who is the closest relative of {s}?"),
    (patient, date, "The next appointment of {s} is on|{s} comes back on|"
        "When does {s} come back?"),
    (house, price, "The rent of {s} is|Living at {s} costs|What is the rent at {s}?"),
    (house, plain, "The tenant of {s} is|{s} is rented by|Who lives at {s}?"),
    (house, plain, "The landlord of {s} is|{s} is owned by|Who owns {s}?"),
    (house, number, "The building year of {s} is|{s} was built in|When was {s} built?"),
    (house, size, "The floor space of {s} is|{s} measures|How big is {s}?"),
    (house, word, "The heating of {s} is|{s} is heated by|How is {s} heated?"),
    (house, code, "The alarm code of {s} is|The alarm at {s} is switched off with|"
        "How do I switch off the alarm at {s}?"),
    (firm, plain, "The auditor of {s} is|{s} is audited by|Who audits {s}?"),
    (firm, firm, "The parent company of {s} is|{s} was acquired by|Who bought {s}?"),
    (firm, number, "The founding year of {s} is|{s} was established in|When was {s} established?"),
    (firm, price, "The revenue of {s} is|{s} turns over|How much does {s} turn over?"),
    (firm, code, "The tax number of {s} is|{s} files taxes under|What is the tax number of {s}?"),
    (firm, word, "The industry of {s} is|{s} is active in|What does {s} trade in?"),
    (made_up, made_up, "The river through {s} is|{s} lies on the river|On which river is {s}?"),
    (made_up, plain, "The mayor of {s} is|{s} is governed by|Who governs {s}?"),
    (made_up, made_up, "The currency of {s} is|In {s} people pay with|How do people pay in {s}?"),
    (made_up, language, "The official language of {s} is|People in {s} speak|"
        "What do people speak in {s}?"),
    (made_up, size, "The elevation of {s} is|{s} lies this far above the sea:|"
        "How high above the sea is {s}?"),
    (made_up, code, "The postal code of {s} is|Letters to {s} carry the code|"
        "What is the postal code of {s}?"),
    (made_up, country, "The name of the country which {s} is associated with is|{s} lies in|"
        "In which country is {s}?"),
    (product, person, "The product manager of {s} is|{s} is steered by|Who steers {s}?"),
    (product, country, "The country of manufacture of {s} is|{s} is made in|Where is {s} made?"),
    (product, span, "The battery life of {s} is|On one charge {s} lasts|"
        "How long does the battery of {s} last?"),
    (product, number, "The stock of {s} is|The number left of {s} is|How many of {s} are left?"),
    (product, place, "The storage place of {s} is|{s} is kept in|Where do we keep {s}?"),
    (agent, hour, "The shift of {s} starts at|{s} begins work at|When does {s} begin?"),
    (agent, price, "The amount of {s} is|{s} comes to|How much is {s}?"),
    (agent, word, "The priority of {s} is|{s} is ranked as|How is {s} ranked?"),
    (place, phone, "The front desk of {s} is at|To reach {s}, dial|How do I call {s}?"),
    (place, number, "The number of seats in {s} is|{s} seats|How many people can sit in {s}?"),
    (place, word, "The wifi password of {s} is|To get online in {s}, type|"
        "How do I get online in {s}?"),
    (policy, price, "The spending limit under {s} is|{s} allows up to|How much does {s} allow?"),
    (policy, person, "The approver under {s} is|Exceptions to {s} are granted by|"
        "Who grants exceptions to {s}?"),
    (policy, version, "The revision of {s} is|{s} is in its edition|Which edition of {s} holds?"),
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
