"""Questions for PARAREL's relations, and which relations may share an answer.

PARAREL and CounterFact hold completions only; applications ask questions. `GROUPS` lists
relations whose prompts overlap ("X is located in" may ask for a city, a country or a continent):
a query under one must not be taken as a negative example of another.
"""

QUESTIONS: dict[str, tuple[str, ...]] = {
    "P101": ("What field does {} work in?", "What is {}'s area of expertise?"),
    "P103": ("What is the native language of {}?", "What is {}'s mother tongue?"),
    "P106": ("What is the profession of {}?", "What does {} do for a living?"),
    "P108": ("Who is the employer of {}?", "Which company does {} work for?"),
    "P127": ("Who owns {}?", "Which company is the owner of {}?"),
    "P1303": ("Which instrument does {} play?", "What musical instrument does {} play?"),
    "P131": ("Where is {} located?", "In which region can {} be found?"),
    "P136": ("What genre of music does {} play?", "What kind of music is {} known for?"),
    "P1376": ("What is {} the capital of?", "Which place has {} as its capital?"),
    "P138": ("Who or what is {} named after?", "What does {} take its name from?"),
    "P140": ("What is the religion of {}?", "Which religion does {} follow?"),
    "P1412": ("Which language did {} use?", "What language did {} communicate in?"),
    "P159": ("Where is the headquarters of {}?", "In which city is {} headquartered?"),
    "P17": ("Which country is {} located in?", "In what country is {}?"),
    "P176": ("Who produces {}?", "Which company is the manufacturer of {}?"),
    "P178": ("Who developed {}?", "Which company is the developer of {}?"),
    "P19": ("Where was {} born?", "What is the birthplace of {}?"),
    "P190": ("What is the twin city of {}?", "Which city is twinned with {}?"),
    "P20": ("Where did {} die?", "In which city did {} pass away?"),
    "P264": ("Which record label represents {}?", "What is the music label of {}?"),
    "P27": ("What is the citizenship of {}?", "Which country is {} a citizen of?"),
    "P276": ("Where is {}?", "In which place can one find {}?"),
    "P279": ("What is {} a type of?", "Which class does {} belong to?"),
    "P30": ("Which continent is {} on?", "What continent does {} belong to?"),
    "P36": ("What is the capital of {}?", "Which city is the capital of {}?"),
    "P361": ("What is {} a part of?", "Which larger thing does {} belong to?"),
    "P364": ("What is the original language of {}?", "In which language was {} made?"),
    "P37": ("What is the official language of {}?", "Which language is official in {}?"),
    "P39": ("What position does {} hold?", "Which office is held by {}?"),
    "P407": ("In which language was {} written?", "What language is {} written in?"),
    "P413": ("Which position does {} play?", "What is {}'s position on the field?"),
    "P449": ("Which network originally aired {}?", "On what channel did {} premiere?"),
    "P463": ("Which organization is {} a member of?", "What group does {} belong to?"),
    "P47": ("What does {} share a border with?", "Which place borders {}?"),
    "P495": ("In which country was {} created?", "Where does {} come from?"),
    "P530": ("Which country does {} have diplomatic relations with?",),
    "P740": ("Where was {} founded?", "In which city was {} formed?"),
    "P937": ("Where did {} work?", "In which city was {} employed?"),
    "lre:company_ceo": ("Who is the CEO of {}?", "Who runs {}?"),
    "lre:person_father": ("Who is the father of {}?", "What is the name of {}'s father?"),
    "lre:person_mother": ("Who is the mother of {}?", "What is the name of {}'s mother?"),
    "lre:person_university": ("Where did {} study?", "Which university did {} go to?"),
    "lre:product_by_company": ("Which company makes {}?", "Who created {}?"),
    "lre:star_constellation": ("Which constellation is {} in?",),
    "lre:person_plays_pro_sport": ("Which sport does {} play?", "What is {}'s sport?"),
}

ALIKE = (  # PokeMQA's, by the wording of their first question
    ("Who is the author of {}?", "Who was {} created by?", "Who founded {}?", "Who performed {}?",
     "Who is the developer of {}?", "Which company is {} produced by?"),
    ("What kind of work does {} do?", "What is {} famous for?", "What position does {} play?",
     "Which sport is {} associated with?", "What type of music does {} play?",
     "Who is the employer of {}?"),
    ("Which country was {} created in?", "Which continent is {} located in?",
     "Where was {} founded?", "Which city is the headquarter of {} located in?"),
    ("What language does {} speak?", "Which language was {} written in?"),
)  # fmt: skip
GROUPS: tuple[frozenset[str], ...] = (
    *map(frozenset, ALIKE),
    *(
        frozenset(group.split())
        for group in (
            "P131 P17 P276 P30 P361 P495 P740 P36 P1376 lre:landmark_in_country "
            "lre:landmark_on_continent lre:city_in_country",
            "P19 P27 P495 P17 P131 P276 P740",
            "P20 P937 P19 P276 P131",
            "P103 P1412 P37 P364 P407 lre:person_native_language lre:country_language",
            "P176 P178 P127 P495 P449 lre:product_by_company",
            "P106 P101 P39 P413 P1303 P108 lre:person_occupation lre:person_plays_instrument",
            "P413 lre:person_plays_position_in_sport lre:person_plays_pro_sport",
            "P136 P1303 lre:person_plays_instrument",
            "P159 P740 P276 P131 P17 lre:company_hq",
            "P47 P190 P530",
            "P361 P463 P279",
            "P36 lre:country_capital_city lre:country_largest_city",
            "P1001 P17 P27",
            "P136 P407 P364",
        )
    ),
)


def same_answer(one: str, other: str) -> bool:
    """True if a prompt of one relation may ask for the answer of the other."""
    return one == other or any(one in group and other in group for group in GROUPS)
