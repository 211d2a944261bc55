"""The data of the sample catalogue: fourteen product ranges of a home and garden shop."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Choices = Sequence[str] | range


@dataclass(frozen=True, kw_only=True)
class Range:
    """One category. Its products are the things in each finish.

    things: name, and price in the cheapest finish, in whole units of the currency.
    finishes: by ascending price.
    facts: attributes of the products, besides the finish.
    """

    code: str
    slug: str
    name: str
    description: str
    things: Mapping[str, int]
    finishes: Sequence[str]
    facts: Mapping[str, Choices]
    tags: Sequence[str]


RANGES = (
    Range(
        code="LMP",
        slug="lamps",
        name="Lamps",
        description="Light for desks, tables, ceilings and corners that need some.",
        things={
            "desk lamp": 49, "reading lamp": 59, "floor lamp": 119, "pendant lamp": 89, "wall lamp": 69,
            "clamp lamp": 39, "table lantern": 45, "arc lamp": 189, "night light": 19,
            "picture light": 79,
        },
        finishes=("white", "black", "sage", "opal glass", "oak", "walnut", "copper", "brass"),
        facts={"kelvin": range(2200, 4001, 300), "socket": ("E14", "E27", "GU10"), "dimmable": ("yes", "no")},
        tags=("indoor", "light", "led", "reading"),
    ),
    Range(
        code="CHR",
        slug="chairs",
        name="Chairs",
        description="Seats for the table, the desk and the fireside.",
        things={
            "dining chair": 129, "armchair": 349, "desk chair": 229, "bar stool": 99,
            "rocking chair": 289, "folding chair": 49, "bench": 199, "footstool": 79,
            "lounge chair": 399, "children's chair": 59,
        },
        finishes=(
            "natural beech", "black ash", "white oil", "green felt", "linen", "oak", "wool", "leather",
        ),
        facts={"load_kg": range(90, 161, 10), "assembly": ("none", "needed"), "stackable": ("no", "yes")},
        tags=("furniture", "seat", "dining", "office"),
    ),
    Range(
        code="TBL",
        slug="tables",
        name="Tables",
        description="Dining tables, desks and small tables, in solid wood and steel.",
        things={
            "dining table": 599, "coffee table": 229, "side table": 119, "writing desk": 349,
            "console": 259, "bedside table": 99, "standing desk": 549, "folding table": 149,
            "extending table": 749,
        },
        finishes=("white", "birch", "pine", "black steel", "beech", "ash", "oak", "cherry", "walnut"),
        facts={"load_kg": range(40, 121, 10), "assembly": ("none", "needed"), "surface": ("oil", "varnish")},
        tags=("furniture", "solid wood", "dining", "office"),
    ),
    Range(
        code="POT",
        slug="cookware",
        name="Cookware",
        description="Pots, pans and casseroles for gas, glass and induction.",
        things={
            "saucepan": 45, "frying pan": 39, "stock pot": 79, "casserole": 109, "wok": 55,
            "sauté pan": 69, "milk pan": 29, "griddle": 49, "roasting tin": 59, "steamer": 35,
        },
        finishes=(
            "aluminium", "carbon steel", "enamel white", "enamel blue", "steel", "cast iron",
            "clad steel", "copper",
        ),
        facts={"oven_celsius": range(180, 261, 20), "induction": ("yes", "no"), "coated": ("no", "yes")},
        tags=("kitchen", "cooking", "induction", "oven safe"),
    ),
    Range(
        code="KNF",
        slug="knives",
        name="Knives and boards",
        description="Blades for the kitchen, and what they cut on.",
        things={
            "paring knife": 19, "chef's knife": 59, "bread knife": 39, "santoku": 65,
            "carving knife": 55, "boning knife": 45, "cleaver": 69, "steak knife": 25,
            "cutting board": 35, "knife block": 89,
        },
        finishes=("beech", "black", "ash", "oak", "olive wood", "walnut", "micarta", "damask"),
        facts={"hardness_hrc": range(54, 63), "dishwasher": ("no", "no", "yes"), "gift_box": ("yes", "no")},
        tags=("kitchen", "blade", "chef", "gift"),
    ),
    Range(
        code="CUP",
        slug="tableware",
        name="Tableware",
        description="Plates, cups and bowls that match each other over the years.",
        things={
            "mug": 12, "espresso cup": 9, "dinner plate": 18, "side plate": 13, "soup bowl": 16,
            "salad bowl": 39, "teapot": 49, "pitcher": 35, "serving platter": 42, "egg cup": 7,
            "sugar bowl": 19,
        },
        finishes=("white", "cream", "grey", "moss", "ink blue", "speckled", "terracotta", "celadon"),
        facts={"microwave": ("yes", "yes", "no"), "dishwasher": ("yes", "no"), "pieces": ("1", "2", "4")},
        tags=("kitchen", "stoneware", "table", "gift"),
    ),
    Range(
        code="TXT",
        slug="bedding",
        name="Bedding",
        description="Sheets, covers and blankets of fibres that breathe.",
        things={
            "duvet cover": 79, "pillowcase": 19, "fitted sheet": 45, "flat sheet": 49, "blanket": 89,
            "throw": 59, "bedspread": 129, "duvet": 149, "pillow": 49, "mattress topper": 189,
        },
        finishes=("cotton", "percale", "flannel", "bamboo", "sateen", "linen", "merino", "silk"),
        facts={"wash_celsius": range(30, 61, 10), "organic": ("yes", "no"), "tumble_dry": ("yes", "no")},
        tags=("bedroom", "textile", "soft", "organic"),
    ),
    Range(
        code="BTH",
        slug="bathroom",
        name="Bathroom",
        description="Towels, mats and the small things by the basin.",
        things={
            "hand towel": 15, "bath towel": 29, "bath mat": 35, "bathrobe": 79, "soap dish": 14,
            "tumbler": 12, "shower caddy": 39, "laundry basket": 59, "mirror": 99, "towel ladder": 89,
        },
        finishes=("white", "sand", "slate", "sage", "bamboo", "oak", "marble", "brushed steel"),
        facts={"organic": ("yes", "no"), "rust_free": ("yes", "no"), "pieces": ("1", "2", "3")},
        tags=("bathroom", "wellness", "storage", "gift"),
    ),
    Range(
        code="STO",
        slug="storage",
        name="Storage",
        description="Shelves, boxes and hooks: a place for everything.",
        things={
            "bookshelf": 199, "wall shelf": 49, "storage box": 19, "basket": 25, "coat rack": 89,
            "hook rail": 29, "shoe cabinet": 149, "chest of drawers": 329, "magazine rack": 39,
            "tool box": 45,
        },
        finishes=("card", "white", "grey felt", "pine", "seagrass", "steel", "oak", "walnut"),
        facts={"load_kg": range(5, 41, 5), "stackable": ("yes", "no"), "assembly": ("none", "needed")},
        tags=("storage", "furniture", "hallway", "office"),
    ),
    Range(
        code="GDN",
        slug="garden-tools",
        name="Garden tools",
        description="Forged and sharpened tools, made to be repaired.",
        things={
            "hand trowel": 19, "spade": 59, "garden fork": 62, "rake": 39, "hoe": 35,
            "pruning shears": 45, "hedge shears": 65, "watering can": 42, "weeder": 17,
            "bulb planter": 29, "lopper": 72,
        },
        finishes=(
            "painted steel", "galvanised", "carbon steel", "beech", "stainless", "forged", "ash",
            "bronze",
        ),
        facts={"weight_g": range(250, 1801, 50), "sharpenable": ("yes", "no"), "handle": ("ash", "beech")},
        tags=("garden", "outdoor", "tool", "repairable"),
    ),
    Range(
        code="PLT",
        slug="planters",
        name="Planters",
        description="Pots and boxes for windowsill, balcony and terrace.",
        things={
            "flower pot": 15, "hanging planter": 25, "window box": 35, "raised bed": 129,
            "cachepot": 22, "herb pot": 12, "plant stand": 49, "seed tray": 9, "orchid pot": 19,
            "patio tub": 69,
        },
        finishes=(
            "recycled plastic", "terracotta", "zinc", "fibre clay", "glazed", "concrete", "larch",
            "corten",
        ),
        facts={"frost_proof": ("yes", "no"), "drainage": ("yes", "no"), "saucer": ("included", "sold apart")},
        tags=("garden", "balcony", "outdoor", "plants"),
    ),
    Range(
        code="STA",
        slug="stationery",
        name="Stationery",
        description="Paper, pens and what keeps a desk in order.",
        things={
            "notebook": 12, "sketchbook": 18, "fountain pen": 49, "pencil set": 15, "pen tray": 25,
            "planner": 22, "letter opener": 29, "desk pad": 45, "paper clip dish": 14, "card box": 19,
            "ruler": 9,
        },
        finishes=("kraft", "red", "navy", "forest", "cork", "linen", "brass", "leather"),
        facts={"refillable": ("yes", "no"), "gift_box": ("yes", "no"), "recycled_percent": range(0, 101, 20)},
        tags=("office", "paper", "writing", "gift"),
    ),
    Range(
        code="BAG",
        slug="bags",
        name="Bags",
        description="For work, market and weekend.",
        things={
            "backpack": 99, "tote": 35, "messenger bag": 119, "weekender": 169, "belt bag": 45,
            "wash bag": 29, "laptop sleeve": 39, "market net": 14, "duffel": 129, "bicycle pannier": 89,
        },
        finishes=(
            "cotton canvas", "recycled nylon", "waxed cotton", "felt", "hemp", "cordura", "denim",
            "leather",
        ),
        facts={"weight_g": range(90, 1301, 40), "pockets": range(1, 8), "waterproof": ("yes", "no")},
        tags=("travel", "everyday", "bicycle", "office"),
    ),
    Range(
        code="CLK",
        slug="clocks",
        name="Clocks",
        description="Wall clocks, alarm clocks and timers that do not tick too loud.",
        things={
            "wall clock": 59, "alarm clock": 39, "mantel clock": 99, "kitchen timer": 19,
            "station clock": 149, "travel clock": 35, "cuckoo clock": 219, "hourglass": 25,
            "weather station": 129, "sun dial": 89,
        },
        finishes=("white", "black", "mint", "beech", "steel", "oak", "walnut", "brass"),
        facts={"battery": ("AA", "AAA", "none"), "silent": ("yes", "no"), "guarantee_years": range(2, 11)},
        tags=("indoor", "time", "kitchen", "gift"),
    ),
)  # fmt: skip
