"""What the load test asks: questions about pictures of many sizes, conversations that share their beginnings, and nonsense."""

import base64
import itertools
import json
import struct
import zlib

SIZES = [
    (1, 1),
    (5, 400),
    (30, 305),
    (64, 64),
    (200, 150),
    (333, 777),
    (640, 480),
    (1000, 40),
    (1280, 720),
    (1024, 1024),
]
PROMPTS = [
    "Describe the picture.",
    "How many shapes are there?",
    "What colour is the square?",
    "What is the background?",
]
FOLLOW_UPS = ["Where is it? Answer with its box in JSON.", "And the square?"]
TEXTS = ["How many corners does a square have?", "Repeat the word: lamp", "Say nothing but yes."]


def png(width, height, background, shape):
    """A PNG with a rectangle in its middle."""
    plain = bytes([0, *background * width])
    left, right = width // 3, width * 2 // 3
    crossed = bytes([0, *background * left, *shape * (right - left), *background * (width - right)])
    top, bottom = height // 3, height * 2 // 3
    rows = plain * top + crossed * (bottom - top) + plain * (height - bottom)
    return container(width, height, zlib.compress(rows))


def container(width, height, data):
    """The chunks of an 8-bit RGB PNG; the size need not be that of the data."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def picture(data, kind="image/png"):
    return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{base64.b64encode(data).decode()}"}}


def user(*content):
    return {
        "role": "user",
        "content": [part if isinstance(part, dict) else {"type": "text", "text": part} for part in content],
    }


def assistant(text):
    return {"role": "assistant", "content": text}


def pictures():
    """One of each size, in colours that differ."""
    colours = itertools.cycle([([255, 0, 0], [0, 128, 0]), ([255, 255, 255], [0, 0, 255]), ([0, 0, 0], [255, 255, 0])])
    return [png(width, height, *colour) for (width, height), colour in zip(SIZES, colours)]


def single_turns():
    """(prompt, pictures): what `qvl run` can be asked too."""
    drawn = pictures()
    about_one = [(prompt, [drawn[i]]) for i, prompt in zip(range(len(drawn)), itertools.cycle(PROMPTS))]
    same_picture = [(prompt, [drawn[6]]) for prompt in PROMPTS]
    about_two = [("What differs between picture 1 and picture 2?", [drawn[3], drawn[4]])]
    return about_one + same_picture + about_two + [(text, []) for text in TEXTS]


def request(messages, **options):
    return {"messages": messages, "max_tokens": 64, "temperature": 0, **options}


def of_turn(prompt, images):
    return request([user(*map(picture, images), prompt)])


def conversations(answers):
    """Second turns after single turns that were answered: (prompt, pictures) with the answer to each."""
    for (prompt, images), text in answers:
        if images:
            for follow_up in FOLLOW_UPS:
                yield request([user(*map(picture, images), prompt), assistant(text), user(follow_up)])


def sampled():
    """Not greedy, but with a seed, and one with several choices."""
    drawn = pictures()
    for seed in range(4):
        yield request([user(picture(drawn[seed + 4]), "Describe the picture.")], temperature=1.0, top_p=0.95, seed=seed)
    yield request([user(picture(drawn[8]), "Describe the picture.")], temperature=1.0, seed=11, n=3)


def bad_requests():
    """(body, status, part of the sentence): what must be refused."""
    good = png(64, 64, [0, 0, 0], [255, 255, 255])
    ask = lambda **options: json.dumps(request([user("Hello.")], **options)).encode()
    show = lambda part: json.dumps(request([user(part, "What is it?")])).encode()
    return [
        (b'{"messages": [', 400, ""),
        (b'{"messages": [{"role": "user", "content": "\xff"}]}', 400, ""),
        (b'{"messages": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400, ""),
        (json.dumps(request([])).encode(), 400, "messages"),
        (json.dumps(request([{"role": "nobody", "content": "Hello."}])).encode(), 400, "role"),
        (ask(temperature=-1), 400, "temperature"),
        (ask(n=1_000_000_000), 400, "n"),
        (ask(max_tokens=-1), 400, "max_tokens"),
        (ask(top_logprobs=1000, logprobs=True), 400, "top_logprobs"),
        (ask(best_answer=True), 400, "best_answer"),
        (show(picture(good[:60])), 400, ""),
        (show(picture(container(50_000, 50_000, b""))), 400, ""),
        (show(picture(png(1000, 4, [0, 0, 0], [255, 0, 0]))), 400, ""),
        (show(picture(b"<svg/>", "image/svg+xml")), 400, ""),
        (show({"type": "image_url", "image_url": {"url": "data:image/png;base64,***"}}), 400, "base64"),
        (show({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}), 400, ""),
        (show({"type": "image_url", "image_url": {"url": "http://127.0.0.1/"}}), 400, ""),
    ]
