#!/usr/bin/env python3
"""Goldens of beam search: what transformers' generate(num_beams=…) gives, in float32 on CPU.
usage: gen_beams.py CKPT_DIR OUT    writes OUT/beams.json, for the cases of gen_golden.py that are named below

Tokens that end an answer are taken from the middle of the answers without an end, so that answers of several lengths compete.
"""

import json, os, sys

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from gen_golden import P, cases, dump, strip
import numpy as np

CASES = ("text_only", "one_image", "multi_turn")
TOKENS = 24
# num_beams, length_penalty, early_stopping, repetition_penalty, and how many tokens end an answer.
SETTINGS = (
    (2, 1.0, False, 1.0, 0),
    (3, 1.0, False, 1.0, 1),
    (4, 0.0, False, 1.0, 2),
    (4, 2.0, False, 1.0, 2),
    (4, -1.0, False, 1.0, 2),
    (4, 1.0, True, 1.0, 2),
    (5, 1.0, False, 1.3, 3),
)


def main(checkpoint, out):
    processor = AutoProcessor.from_pretrained(checkpoint)
    model = AutoModelForImageTextToText.from_pretrained(
        checkpoint, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    records = []
    for name, messages, images, _ in cases(processor, np.load(P("video_37x64x96.npy")), False):
        if name not in CASES:
            continue
        text = processor.apply_chat_template(strip(messages), tokenize=False, add_generation_prompt=True)
        pictures = {"images": [P(image) for image in images]} if images else {}
        inputs = processor(text=[text], return_tensors="pt", **pictures)
        start = inputs["input_ids"].shape[1]

        def search(beams, length_penalty, early_stopping, repetition_penalty, ends):
            settings = dict(
                num_beams=beams,
                length_penalty=length_penalty,
                early_stopping=early_stopping,
                repetition_penalty=repetition_penalty,
                max_new_tokens=TOKENS,
            )
            with torch.no_grad():
                found = model.generate(
                    **inputs,
                    **settings,
                    do_sample=False,
                    eos_token_id=ends or None,
                    pad_token_id=processor.tokenizer.pad_token_id,
                    output_scores=True,
                    return_dict_in_generate=True,
                )
            tokens = found.sequences[0, start:].tolist()
            length = next((i + 1 for i, token in enumerate(tokens) if token in ends), len(tokens))
            score = round(found.sequences_scores[0].item(), 5)
            return dict(case=name, **settings, eos_token_ids=ends, generated=tokens[:length], score=score)

        for *settings, count in SETTINGS:
            free = search(*settings, [])["generated"]
            ends = sorted({free[5 * (i + 1)] for i in range(count)})
            records.append(search(*settings, ends))
    dump(records, os.path.join(out, "beams.json"))
    print(
        json.dumps(
            [[record["case"], record["num_beams"], len(record["generated"]), record["score"]] for record in records]
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
