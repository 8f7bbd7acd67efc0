#!/usr/bin/env python3
"""Chat templates rendered by transformers over many conversations, with the ids of what was rendered, and the ids of random texts.
usage: gen_prompts.py [OUT.json]    default: golden/common/prompts_more.json
Needs transformers and jinja2 only (no torch)."""

import json
import os
import random
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
from transformers import AutoTokenizer

HERE = os.path.dirname(os.path.abspath(__file__))
HUB = os.path.join(HERE, "real", "hub")
IMAGE, VIDEO = {"type": "image"}, {"type": "video"}


def text(s):
    return {"type": "text", "text": s}


def message(role, *content, **more):
    content = content[0] if len(content) == 1 and isinstance(content[0], str) else list(content)
    return {"role": role, "content": content, **more}


def user(*content):
    return message("user", *content)


def assistant(*content, **more):
    return message("assistant", *content, **more)


def system(*content):
    return message("system", *content)


def tool(*content):
    return message("tool", *content)


def call(name, arguments):
    return {"type": "function", "function": {"name": name, "arguments": arguments}}


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "zoom",
            "description": "Zooms in: <b>\"é\" & 'x'</b> \\ / \t世界 \u007f",
            "parameters": {
                "type": "object",
                "required": ["box"],
                "properties": {
                    "box": {"type": "array", "items": {"type": "number"}, "minItems": 4},
                    "factor": {"type": "number", "default": 1.0, "minimum": 1e-07, "maximum": 1e16},
                    "on": {"type": ["boolean", "null"], "default": None, "enum": [True, False, None]},
                },
            },
        },
    },
    {"z": 1, "a": {"y": [], "x": {}, "w": [1.5, -2, 0.0001, 123456789.125]}},
]

CONVERSATIONS = {
    "user": [user("Hi")],
    "user_list": [user(text("Hi"), text(" there"))],
    "empty_user": [user("")],
    "unicode": [user("你好 e\u0301 Å 😀👨‍👩‍👧 \u200b\u00a0 ﷽ ½")],
    "blanks": [user("  a \n\n  b\t\r\n c   "), assistant("\n\n  x \n"), user(" ")],
    "braces": [user("{{ 7 * 7 }} {% if x %} {# no #} %} }}"), assistant("{{ messages }}"), user("<b>&amp;'\"</b>")],
    "system": [system("Be brief."), user("Hi")],
    "system_list": [system(text("A"), text("B"), text("")), user("Hi")],
    "system_later": [user("Q"), system("Now in French."), user("R")],
    "system_twice": [system("One."), system("Two."), user("Q")],
    "image": [user(IMAGE, text("What?"))],
    "image_only": [user(IMAGE)],
    "images_and_video": [user(text("a "), IMAGE, text(" b "), VIDEO, IMAGE, text(" c"))],
    "turns_with_pictures": [
        system("S"),
        user(IMAGE, text("Q1")),
        assistant("A1"),
        user(VIDEO, IMAGE, text("Q2")),
        assistant(text("A"), text("2")),
        user(
            "Q3",
        ),
    ],
    "assistant_last": [user("Q"), assistant("A")],
    "think_inline": [user("Q1"), assistant("<think>\nr1\n</think>\n\nA1"), user("Q2"), assistant("<think>\n\nr2\n\n</think>\n\n\nA2")],
    "think_apart": [user("Q1"), assistant("A1", reasoning_content="r1\n"), user("Q2"), assistant("\nA2", reasoning_content="\n\nr2")],
    "think_three_turns": [
        user("Q1"),
        assistant("<think>a</think>A1"),
        user("Q2"),
        assistant("<think>b</think>A2"),
        user("Q3"),
        assistant("<think>c</think>A3"),
        user("Q4"),
    ],
    "think_broken": [user("Q"), assistant("no start</think>A</think>B"), user("R"), assistant("<think>never ends")],
    "think_then_tool": [
        user("Q"),
        assistant("", reasoning_content="I call.", tool_calls=[call("zoom", {"box": [0, 0.5, 1, 1000]})]),
        tool("done"),
        assistant("<think>\nseen\n</think>\n\nA", reasoning_content="again"),
    ],
    "tool_calls": [
        user("Q"),
        assistant(
            "Wait.",
            tool_calls=[
                call("zoom", {"box": [1, 2.0, 3], "s": 'é"\n<tool_call>', "n": None, "t": True}),
                call("raw", '{"a":1}'),
                call("none", {}),
            ],
        ),
        tool("21 °C"),
        tool(text("ok "), IMAGE, text("!")),
        assistant("A"),
        user("Thx"),
    ],
    "tool_call_without_text": [user("Q"), assistant("", tool_calls=[call("f", {"a": {"b": [{}]}})]), tool("r"), user("R")],
    "tool_first": [tool("r"), user("Q")],
    "tool_with_video": [user("Q"), assistant("", tool_calls=[call("f", {})]), tool(VIDEO, text("frames"))],
    "long": [
        m
        for i in range(40)
        for m in (user(text(f"Question {i}? " + "ab " * i), *([IMAGE] if i % 7 == 0 else [])), assistant(f"Answer {i}."))
    ]
    + [user("End")],
}


ALPHABETS = [
    " \t\n\r\v\f\u0085\u00a0\u1680\u2003\u2028\u2029\u202f\u3000\u200b\ufeff\u001c\u001d",
    "abcXYZ'sStTrReEvVmMlLdD\u017f\u212aéßǅʰ\u00aa",
    "0123456789٣५²½Ⅷ①〇\U0001d7d9",
    "!?.,;:-_()[]{}<>|/\\@#$%^&*+=~`\"'«»、。！…",
    "你好世界日本語テスト한국어ไทยصفПри\u0e33\u0eb3",
    "e\u0301\u0302o\u0308\u0323\u1e9b\u2126\u212b\uf900\u1100\u1161\u11a8\u0344\u0958\u2adc",
    "😀🎉👨\u200d👩\ufe0f🏽\U000e0041\ud7a3\ufffd\ue000\U0010ffff\u0000\u007f",
]
LITERALS = ["<|im_start|>", "<|image_pad|>", "<think>", "</tool_call>", "<|im_", "|>", "'ll", "'RE", "https://", "  ", "\r\n"]


def random_texts(count, seed=7):
    r = random.Random(seed)
    for _ in range(count):
        favourites = r.sample(ALPHABETS, r.randint(1, 3))
        yield "".join(r.choice(LITERALS) if r.random() < 0.06 else r.choice(r.choice(favourites)) for _ in range(r.randint(1, 40)))


def main(out):
    tokenizer = AutoTokenizer.from_pretrained(HUB)
    cases = []
    for template in ("Instruct", "Thinking"):
        source = open(os.path.join(HUB, f"chat_template.{template}.jinja"), encoding="utf-8").read()
        for name, messages in CONVERSATIONS.items():
            for prompt in (True, False):
                for tools in (False, True):
                    for ids in (False, True):
                        media = any(isinstance(m["content"], list) and any(p["type"] != "text" for p in m["content"]) for m in messages)
                        if ids and not media:
                            continue
                        rendered = tokenizer.apply_chat_template(
                            messages,
                            chat_template=source,
                            tokenize=False,
                            add_generation_prompt=prompt,
                            tools=TOOLS if tools else None,
                            **({"add_vision_id": True} if ids else {}),
                        )
                        cases.append(
                            {
                                "template": template,
                                "conversation": name,
                                "add_generation_prompt": prompt,
                                "tools": tools,
                                "add_vision_id": ids,
                                "rendered": rendered,
                                "ids": tokenizer(rendered)["input_ids"] if name != "long" else None,
                            }
                        )
    with open(out, "w", encoding="utf-8") as file:
        json.dump(
            {
                "tools": TOOLS,
                "conversations": CONVERSATIONS,
                "cases": cases,
                "texts": [[t, tokenizer(t)["input_ids"]] for t in random_texts(2000)],
            },
            file,
            ensure_ascii=False,
        )
        file.write("\n")
    print(len(cases), "cases")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "golden", "common", "prompts_more.json"))
