"""What the synthetic speakers say: plain sentences of the project's own, dense in lip sounds, in ten languages."""

from __future__ import annotations

import random

SENTENCES: dict[str, tuple[str, ...]] = {
    "en-us": (
        "Good morning, how are you feeling today?",
        "I would like to tell you something about my family and our work.",
        "Please remember to buy bread, milk and a bag of apples on the way home.",
        "We have been waiting for more than five months for this moment.",
        "Probably the best film that people watched last summer.",
        "My mother makes a wonderful apple pie with plum jam.",
        "The boys jumped up and down beside the pool.",
        "You should bring your umbrella, because it may become wet.",
        "Peter and Bob moved the big piano above the shop.",
        "What a beautiful view from the top of the mountain.",
        "Thank you very much for watching this video with us.",
        "Maybe we can play football with them tomorrow afternoon.",
        "She sells fresh vegetables and fish at the market every Wednesday.",
        "The weather is warm, but a strong wind blows from the west.",
        "Nobody knows why they would approve that programme.",
        "Both problems must be solved by people who understand them.",
        "Five thousand people were affected when the bridge was shut.",
        "Who would ever move away from a place so wonderful?",
        "Oh no, you do not know how slow the old road goes.",
        "The president spoke about peace, work and the economy.",
        "Above all, keep the paper cup upright and put the lid on top.",
        "He thought about the other path, then he took the short one.",
        "A young woman walked through the park with two white dogs.",
        "Could you open the window and shut the door behind you?",
        "Our new system measures every voice and shows the result in a moment.",
        "The museum will be open from eight to five, except on public holidays.",
        "Simple machines save people a lot of effort.",
        "I am absolutely sure that the purple pepper was bigger.",
        "They used to live in a huge house near the sea.",
        "Few of us believe what the paper said about the vote.",
        "Jack put his jacket in the bag and jogged to the bridge.",
        "My voice is my own, and I choose where it goes.",
    ),
    "cmn": (
        "你好，今天天气怎么样？",
        "我想告诉你一些关于我们公司的新消息。",
        "妈妈每天早上都去买新鲜的面包和牛奶。",
        "请你不要忘记明天下午的会议。",
        "我们一起看了一部非常好看的电影。",
        "爸爸喜欢爬山，也喜欢跑步。",
        "这个问题必须马上解决，不能再等了。",
        "北京和上海都是非常大的城市。",
        "谢谢大家的支持，我们下次再见。",
        "朋友们慢慢地走过那座美丽的小桥。",
        "他的孩子非常聪明，学习也很努力。",
        "春天到了，公园里的花都开了。",
        "欢迎来到我们的直播间，今天有很多优惠。",
        "这款产品品质很好，价格也非常便宜。",
        "没关系，你可以明天把报告发给我。",
        "外面下雨了，别忘了带上你的雨伞。",
        "普通话的发音并不难，多练习就会明白。",
        "我母亲买了八瓶苹果汁和半斤葡萄。",
        "如果有什么问题，请随时给我们发消息。",
        "火车票已经卖完了，我们坐飞机去吧。",
        "哥哥在图书馆门口等了半个小时。",
        "这本书我已经读过三遍了，还想再读。",
    ),
    "fr": (
        "Bonjour, comment allez-vous aujourd'hui ?",
        "Je voudrais parler un peu de ma famille et de mon travail.",
        "Nous avons beaucoup aimé ce petit village au bord de la mer.",
        "Le boulanger prépare du bon pain chaque matin.",
        "Pouvez-vous répéter la question, s'il vous plaît ?",
        "Un grand homme brun marche lentement sur le pont.",
        "La musique est plus belle quand on l'écoute ensemble.",
        "Vous êtes les bienvenus dans notre nouvelle maison.",
    ),
    "de": (
        "Guten Morgen, wie geht es Ihnen heute?",
        "Ich möchte über meine Familie und meine Arbeit sprechen.",
        "Der Bäcker macht jeden Morgen frisches Brot und Brötchen.",
        "Meine Mutter wohnt in einem großen weißen Haus.",
        "Im Sommer fahren viele Leute an das Meer.",
        "Das Wetter wird morgen besser, aber es bleibt windig.",
        "Über die Brücke führt ein schmaler Weg.",
        "Bitte bringen Sie den Apfelkuchen und zwei Becher Wasser.",
    ),
    "es": (
        "Buenos días, cómo está usted hoy.",
        "Me gustaría hablar de mi familia y de mi trabajo.",
        "Mi madre prepara una comida muy buena para todos.",
        "Vamos a bailar y a cantar toda la noche.",
        "El bebé bebe un vaso de leche por la mañana.",
        "Muchas personas viven en una ciudad pequeña.",
        "Gracias por ver este programa con nosotros.",
    ),
    "it": (
        "Buongiorno, come sta oggi?",
        "Mi piacerebbe parlare della mia famiglia e del mio lavoro.",
        "Il bambino beve un bicchiere di latte.",
        "Possiamo vedere un bel film questa sera.",
        "Il treno parte sempre puntuale dalla vecchia stazione.",
    ),
    "pt-br": (
        "Bom dia, como vai você hoje?",
        "Eu gostaria de falar sobre a minha família.",
        "O menino bebe um copo de leite pela manhã.",
        "Muito obrigado por assistir ao nosso programa.",
    ),
    "pl": (
        "Dzień dobry, jak się pan dzisiaj czuje?",
        "Moja mama piecze bardzo dobry chleb.",
        "Wczoraj byliśmy w pięknym parku nad wodą.",
    ),
    "nl": (
        "Goedemorgen, hoe gaat het vandaag met u?",
        "Mijn moeder bakt elke dag vers brood.",
        "Wij wonen in een mooi huis bij het water.",
    ),
    "ru": (
        "Доброе утро, как вы себя чувствуете?",
        "Моя мама печёт очень вкусный пирог с яблоками.",
        "Вчера мы гуляли по большому парку около реки.",
    ),
}
"""Sentences by the name of the espeak-ng voice that reads them."""

ENGLISH_VOICES = ("en-us", "en-us", "en-gb", "en-gb-scotland", "en-029", "en-gb-x-rp")


def choose(rng: random.Random) -> tuple[str, str]:
    """A voice's name and 3 to 8 s of text for it.

    English and Chinese, the studio's languages, are two thirds of it. Half of the texts are sentences, half are their
    words shuffled, so that every sound meets many neighbours.
    """
    draw = rng.random()
    language = "en-us" if draw < 0.45 else "cmn" if draw < 0.66 else rng.choice(list(SENTENCES))
    sentences = SENTENCES[language]
    if rng.random() < 0.5:
        text = " ".join(rng.sample(sentences, 2))
    elif language == "cmn":
        letters = [c for s in sentences for c in s if "一" <= c <= "鿿"]
        text = "，".join("".join(rng.sample(letters, 9)) for _ in range(2))
    else:
        words = " ".join(sentences).replace(",", "").replace(".", "").replace("?", "").split()
        text = ", ".join(" ".join(rng.sample(words, 7)) for _ in range(2))
    voice = rng.choice(ENGLISH_VOICES) if language == "en-us" else language
    if language == "en-us" and rng.random() < 0.1:
        voice = rng.choice(("de", "es", "fr", "it", "nl", "pl"))  # English with an accent
    return voice, text
