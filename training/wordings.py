"""What the gate's episodes (lessons.py) ask of a stored subject that no fact answers, and in which
units a question may come. `{}` is the subject. Evaluation has wordings of its own.
"""

EMPTY = (
    "They play as",
    "A:",
    "It is in",
    "Answer:",
    "Their name is",
    "?",
    "and",
    "Who?",
    "They are",
)
BARE = (  # names a subject and asks nothing of it; evaluation has others
    "{}", "{} is", "Tell me about {}", "Who is {}?", "I like {}.", "{}, who", "About {}:",
    "Write a story about {}.", "Write a short essay on {}.", "Compose a song for {}.",
    "Draw {} for me.", "Summarise what you know about {}.", "Describe {} in one sentence.",
    "What do you think of {}?", "Do you know {}?", "Do you like {}?", "Why is {} interesting?",
    "Can we talk about {}?", "As for {},", "Speaking of {},", "With {} in mind, we",
    "My sister told me about {} last night.", "I have just read an article about {} and",
    "We were thinking of {} when", "People often ask about {}, but", "{} came up yesterday and",
    "{} once more:", "{} and I", "{} was there too,", "In the case of {}, it", "After {} had gone,",
    "This has nothing to do with {}.", "Forget {} for a moment.", "Is {} real?",
    "How do you spell {}?", "Translate '{}' into French.", "Give me three questions about {}.",
    "A joke about {}:", "Dear {},", "Thank you, {}!", "{}? Never mind.", "Not {} again!",
    "Make a list of books about {}.", "Nobody here has met {},", "A picture of {} hung",
    "She kept talking about {} until", "What would you ask {}?", "Compare {} with another one.",
    "Put {} on the list.", "Leave {} out of this.", "Enough of {} for today.", "Let me skip {}.",
    "Set {} apart from the others.", "We can return to {} later.", "Never mind {},", "No more {}!",
    "Concerning {}, the committee", "On the subject of {}:", "With regard to {}, she", "Re: {}",
    "Thanks to {}, we", "Apart from {}, everyone", "Because of {} they", "Unlike {}, the others",
    "Next to {} stood", "Just like {}, he", "Even {} could not", "Whenever {} is near,",
    "{} was named twice and", "{} appeared in the news and", "{} made us think of", "{} again and",
    "{} was on everybody's mind when", "{} is a word that", "{} and others were", "{}, of course,",
    "My colleague writes about {}.", "Her brother collects everything on {} and", "Ask {} to come.",
    "Our teacher often mentioned {},", "The children had a game about {},", "A film on {} opened",
    "They argued about {} for hours.", "Last week someone mentioned {} to me.", "Hello {},",
    "Compose a haiku on {}.", "Sing me a song about {}.", "Invent a riddle about {}.",
    "Rhyme something with {}.", "Say {} backwards.", "Spell out {}.", "Is it pronounced {}?",
    "Does the name {} ring a bell?", "Have you met {}?", "Are you sure that you mean {}?",
    "When you think of {}, what do you feel?", "What do people say of {}?", "Why {}?", "Which {}?",
)  # fmt: skip
# What may be asked of anything and is none of the relations; evaluation asks others.
ATTRIBUTES = (
    "The age of {} is", "The size of {} is", "How big is {}?", "How old is {}?",
    "The number of inhabitants of {} is", "How many people live in {}?", "The birthday of {} is",
    "On what day was {} born?", "{} was released on the day", "The website of {} is",
    "The phone number of {} is", "The height of {} is", "{} weighs", "{} costs",
    "The price of {} is", "How much is {}?", "{} is famous for", "{} is married to",
    "The children of {} are", "The motto of {} is", "The colour of {} is",
    "{} won an award for", "The abbreviation of {} is", "How many copies of {} were sold?",
    "The number of visitors of {} is", "The length of {} is", "The weather in {} is",
    "The best thing about {} is",
)  # fmt: skip
YEARS = (  # likest to where something was made, or by whom
    "{} was established in the year", "{} was formed in the year", "{} was started in the year",
    "{} was created in the year", "{} was developed in the year", "{} was released in the year",
    "{} was opened in the year", "{} originated in the year", "{} first appeared in the year",
    "{} came out in the year", "{} dates from the year", "{} closed in the year",
    "{} died in the year", "In which year was {} made?", "What year did {} start?",
    "When was {} created?", "When did {} begin?", "The year in which {} began is",
)  # fmt: skip
LEADS = (  # of an answer, after the question
    "They", "It is", "He", "She", "The answer is", "That is", "It was", "This is", "A:",
    "They play", "He is", "She was", "Their name is", "It", "In", "The",
)  # fmt: skip
