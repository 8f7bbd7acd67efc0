#!/usr/bin/env python3
"""Draw the example pictures. Seeded: the same Pillow and NumPy give the same files.

usage: draw.py [OUT_DIR]        needs Pillow and NumPy (reference/requirements.txt has both)
"""

import os
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEED = 20261121
SCALE = 3  # drawn larger and reduced, for smooth edges


def canvas(width, height, colour):
    picture = Image.new("RGB", (width * SCALE, height * SCALE), colour)
    return picture, ImageDraw.Draw(picture)


def reduced(picture):
    return picture.resize((picture.width // SCALE, picture.height // SCALE), Image.Resampling.LANCZOS)


def font(size):
    return ImageFont.load_default(size=size * SCALE)


def scaled(*numbers):
    return [n * SCALE for n in numbers]


def shadow(picture, box):
    """A soft dark ellipse under an object that stands on the table."""
    layer = Image.new("L", picture.size, 0)
    ImageDraw.Draw(layer).ellipse(scaled(*box), fill=110)
    layer = layer.filter(ImageFilter.GaussianBlur(7 * SCALE))
    picture.paste((40, 25, 15), mask=layer)


def shapes():
    """A red ball, a blue cube, a green cone and a yellow cylinder on a wooden table."""
    picture, draw = canvas(640, 480, (214, 222, 228))
    draw.rectangle(scaled(0, 250, 640, 480), fill=(168, 120, 74))
    rng = np.random.default_rng(SEED)
    for y in range(254, 480, 9):
        shade = int(rng.integers(-14, 10))
        draw.line(scaled(0, y, 640, y + int(rng.integers(-3, 4))), fill=(160 + shade, 112 + shade, 68 + shade), width=2 * SCALE)
    for box in ((50, 330, 190, 375), (210, 360, 390, 400), (400, 305, 520, 345), (515, 375, 625, 415)):
        shadow(picture, box)

    for step in range(60):
        tone = step / 59
        radius = 62 * (1 - tone)
        x, y = 120 - 22 * tone, 295 - 24 * tone
        colour = tuple(int(a + (b - a) * tone) for a, b in zip((168, 22, 28), (255, 150, 140)))
        draw.ellipse(scaled(x - radius, y - radius, x + radius, y + radius), fill=colour)

    draw.polygon(scaled(225, 270, 325, 270, 325, 385, 225, 385), fill=(38, 84, 190))
    draw.polygon(scaled(225, 270, 265, 235, 365, 235, 325, 270), fill=(96, 142, 232))
    draw.polygon(scaled(325, 270, 365, 235, 365, 345, 325, 385), fill=(22, 54, 132))

    for step in range(90):
        x = 410 + step
        tone = 1 - abs(step - 32) / 60
        colour = (int(24 + 50 * tone), int(96 + 90 * tone), int(48 + 50 * tone))
        draw.polygon(scaled(455, 150, x, 325, x + 1.5, 325), fill=colour)

    for step in range(80):
        x = 530 + step
        tone = 1 - abs(step - 26) / 56
        draw.line(scaled(x, 300, x, 395), fill=(int(190 + 60 * tone), int(150 + 60 * tone), int(20 + 50 * tone)), width=2 * SCALE)
    draw.ellipse(scaled(529, 288, 611, 312), fill=(252, 224, 110))
    return reduced(picture)


def figures():
    """A red circle, a green star and a blue square on white: what the demo model knows."""
    picture, draw = canvas(480, 360, (246, 246, 242))
    draw.ellipse(scaled(40, 60, 160, 180), fill=(208, 34, 40))
    angles = np.arange(10) * np.pi / 5
    reach = np.where(np.arange(10) % 2, 30, 76)
    star = np.stack([245 + reach * np.sin(angles), 250 - reach * np.cos(angles)], axis=1) * SCALE
    draw.polygon([tuple(corner) for corner in star], fill=(36, 150, 66))
    draw.rectangle(scaled(335, 70, 440, 175), fill=(40, 84, 200))
    return reduced(picture)


def chart():
    """A bar chart: cups of coffee sold on five days."""
    picture, draw = canvas(640, 448, (255, 255, 255))
    draw.text(scaled(320, 28), "Cups of coffee sold", font=font(26), fill=(30, 30, 30), anchor="mm")
    left, bottom, top = 80, 380, 70
    for value in range(0, 101, 20):
        y = bottom - (bottom - top) * value / 100
        draw.line(scaled(left, y, 600, y), fill=(218, 218, 218), width=SCALE)
        draw.text(scaled(left - 12, y), str(value), font=font(16), fill=(80, 80, 80), anchor="rm")
    days = [
        ("Mon", 42, (66, 133, 190)),
        ("Tue", 58, (236, 140, 56)),
        ("Wed", 35, (92, 168, 92)),
        ("Thu", 74, (200, 72, 72)),
        ("Fri", 91, (136, 104, 176)),
    ]
    for i, (day, value, colour) in enumerate(days):
        x = left + 30 + i * 100
        y = bottom - (bottom - top) * value / 100
        draw.rectangle(scaled(x, y, x + 62, bottom), fill=colour)
        draw.text(scaled(x + 31, y - 14), str(value), font=font(18), fill=(30, 30, 30), anchor="mm")
        draw.text(scaled(x + 31, bottom + 20), day, font=font(18), fill=(30, 30, 30), anchor="mm")
    draw.line(scaled(left, bottom, 600, bottom), fill=(60, 60, 60), width=2 * SCALE)
    return reduced(picture)


def sign():
    """A green sign with opening hours on a brick wall."""
    picture, draw = canvas(512, 512, (150, 96, 80))
    rng = np.random.default_rng(SEED + 1)
    for row in range(17):
        for column in range(-1, 9):
            x = column * 64 + (32 if row % 2 else 0)
            tone = int(rng.integers(-16, 16))
            draw.rectangle(scaled(x, row * 32, x + 60, row * 32 + 28), fill=(168 + tone, 84 + tone // 2, 64 + tone // 2))
    draw.rounded_rectangle(scaled(66, 106, 446, 406), radius=20 * SCALE, fill=(18, 84, 58))
    draw.rounded_rectangle(scaled(76, 116, 436, 396), radius=14 * SCALE, outline=(240, 236, 214), width=3 * SCALE)
    lines = [("CORNER BOOKSHOP", 34, 166), ("Open every day", 28, 228), ("9:00 - 18:30", 40, 290), ("Please ring the bell", 24, 350)]
    for text, size, y in lines:
        draw.text(scaled(256, y), text, font=font(size), fill=(240, 236, 214), anchor="mm")
    return reduced(picture)


def ridge(rng, width, base, height, roughness):
    """A mountain line: waves of rising frequency and falling height."""
    x = np.arange(width) / width
    line = np.zeros(width)
    for octave in range(1, 8):
        line += np.sin(2 * np.pi * (octave**1.7 * x + rng.uniform())) * roughness**octave
    return base - height * (line - line.min()) / (line.max() - line.min())


def landscape():
    """Mountains behind a lake under an evening sky, 1024x768, with the grain of a photograph."""
    width, height, horizon = 1024, 768, 500
    rng = np.random.default_rng(SEED + 2)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    down = np.clip(y / horizon, 0, 1)[..., None]
    picture = (1 - down) * np.array([66, 104, 168]) + down * np.array([250, 196, 142])
    sun = np.exp(-((x - 720) ** 2 + (y - 330) ** 2) / (2 * 60**2))[..., None]
    picture += sun * np.array([70, 60, 30])
    picture[(x - 720) ** 2 + (y - 330) ** 2 < 34**2] = (255, 244, 214)
    for base, tall, roughness, colour in ((500, 250, 0.55, (126, 124, 152)), (500, 170, 0.6, (84, 88, 116)), (502, 90, 0.65, (44, 62, 62))):
        line = ridge(rng, width, base, tall, roughness)
        picture[(y > line[None, :]) & (y < horizon + 2)] = colour
    water = y >= horizon
    mirrored = picture[np.clip(2 * horizon - y, 0, horizon - 1).astype(int), x.astype(int)]
    ripple = (8 * np.sin(y * y / 900 + 3 * np.sin(x / 70)) * np.clip((y - horizon) / 200, 0, 1))[..., None]
    picture[water] = (0.72 * mirrored + np.array([6, 18, 30]) + ripple)[water]
    picture += rng.normal(0, 2.2, (height, width, 1))
    return Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.6))


def main():
    out = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "pictures")
    os.makedirs(out, exist_ok=True)
    shapes().quantize(128).save(os.path.join(out, "shapes.png"), optimize=True)
    figures().quantize(64).save(os.path.join(out, "figures.png"), optimize=True)
    chart().quantize(128).save(os.path.join(out, "chart.png"), optimize=True)
    sign().save(os.path.join(out, "sign.jpg"), quality=88)
    landscape().save(os.path.join(out, "landscape.jpg"), quality=84)


if __name__ == "__main__":
    main()
