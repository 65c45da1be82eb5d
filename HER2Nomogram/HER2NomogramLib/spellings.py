"""How entries of real tables are written, and what they mean.

Every reader returns the meaning of one entry, None where the entry says that it is missing, and raises ValueError with
what to write instead where it is not understood: a guess would go unnoticed.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Collection, Iterable

IHC_NEGATIVE = "negative"
DENSITIES = ("A", "B", "C", "D")
# Upper ends of the density categories in percent; the last has none.
_DENSITY_ENDS = (25.0, 50.0, 75.0)
# Tumors with this share of stained nuclei, in percent, are receptor-positive (ASCO/CAP 2020).
RECEPTOR_POSITIVE = 1.0
# Scores of receptors (Allred to 8, immunoreactive to 12) and codes of their status end here.
_LARGEST_SCORE = 12

# As words that _plain leaves: small letters without accents, without a final point.
_MISSING = {
    "", "nan", "none", "na", "n/a", "n.a", "null", "unknown", "unk", "not known", "missing", "not done",
    "not available", "not reported", "not assessed", "not evaluated", "not determined", "not performed", "not tested",
    "not applicable", "not specified", "unspecified", "?", "??", "???", ".", "..", "...", "_", "__", "unbekannt",
    "keine angabe", "keine angaben", "k.a", "nicht bestimmt", "nicht durchgefuhrt", "sconosciuto", "non noto",
    "non nota", "non disponibile", "non eseguito", "non eseguita", "non valutabile", "inconnu", "inconnue",
    "non fait", "non disponible", "desconocido", "desconocida", "no disponible", "no realizado",
}  # fmt: skip
_UNDECIDED = {
    "equivocal", "borderline", "indeterminate", "inconclusive", "pending", "awaited", "failed", "uninterpretable",
    "not evaluable", "aquivok", "ausstehend", "equivoco", "in corso", "equivoque", "en cours", "en curso",
}  # fmt: skip
_POSITIVE = {"1", "+", "(+)", "pos", "positive", "positiv", "positivo", "positiva", "positif"}
_NEGATIVE = {"0", "-", "(-)", "neg", "negative", "negativ", "negativo", "negativa", "negatif"}
_YES = {"yes", "y", "true", "t", "ja", "j", "wahr", "si", "vero", "oui", "vrai", "verdadero"}
_NO = {"no", "n", "false", "f", "nein", "falsch", "falso", "non", "faux"}
_PRESENT = {"present", "vorhanden", "presente", "presenti", "presentes", "presents"}
_ABSENT = {"absent", "not present", "nicht vorhanden", "keine", "assente", "assenti", "ausente", "ausentes", "absents"}
_AMPLIFIED = {"amplified", "amplifiziert", "amplificato", "amplificata", "amplifie", "amplifiee", "amplificado"}
_NOT_BEFORE = re.compile(r"^(not|non|un|no|nicht)[ -]*")
_MARKER = re.compile(
    r"^(her-?2(/?neu)?|c-?erbb-?2|erbb2|fish|sish|cish|dish|ish|ihc|er|pr|pgr|oestrogen|estrogen|progesterone)\b[ :=]*"
)
_NUMBER = r"\d+(?:[.,]\d+)?"
_PLAIN_NUMBER = re.compile(rf"[+-]?(?:{_NUMBER}|[.,]\d+)(?:e[+-]?\d+)?")
# 1,234 can be a thousand or a decimal.
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(,\d{3})+")
_RANGE = re.compile(rf"({_NUMBER})\s*%?\s*(?:-|to|bis|a)\s*({_NUMBER})\s*%?")
_YEARS = re.compile(r"\s*(y|yo|yrs?|years?( old)?|jahre?|j|anni|ans|anos)$")
_BOUND = re.compile(rf"(<=|>=|<|>|=|~|ca\.?|circa|about|approx\.?)?\s*({_NUMBER})\s*(%|percent|prozent)?")


def _plain(text: str) -> str:
    """An entry in small letters without accents, with one sort of dash and comparison sign and single blanks."""
    text = unicodedata.normalize("NFKD", text.replace("\u00df", "ss"))
    text = "".join(character for character in text if not unicodedata.combining(character)).lower()
    text = re.sub("[\u2010-\u2015\u2212]", "-", text).replace("\u2264", "<=").replace("\u2265", ">=")
    text = " ".join(text.replace("=<", "<=").replace("=>", ">=").split())
    return text[:-1].strip() if len(text) > 1 and text.endswith(".") and set(text) != {"."} else text


def is_missing(text: str, more: Collection[str] = ()) -> bool:
    """Whether an entry says only that nothing is known.

    Parameters
    ----------
    text : str
    more : collection of str
        Further words for this, such as ``99``.
    """
    plain = _plain(text)
    return plain in _MISSING or plain in map(_plain, more)


def number(text: str) -> float:
    """A number, also with a decimal comma.

    Raises
    ------
    ValueError
    """
    plain = _plain(text)
    if _THOUSANDS.fullmatch(plain):
        raise ValueError("write the number without a comma between thousands, or with a decimal point")
    if not _PLAIN_NUMBER.fullmatch(plain):
        raise ValueError("write a plain number")
    return float(plain.replace(",", "."))


def is_signed(texts: Iterable[str]) -> bool:
    """Whether a column uses plus signs alone for what is positive, so that a minus sign is a finding."""
    return any(re.fullmatch(r"\(?\+{1,3}\)?", text.strip()) for text in texts)


def ihc_score(text: str) -> str | None:
    """HER2 immunohistochemistry: ``0``, ``1+``, ``2+``, ``3+``, or ``negative`` for 0 or 1+."""
    if is_missing(text):
        return None
    plain = re.sub(r"\b(score|grade|her-?2(/?neu)?|ihc|c-?erbb-?2)\b[ :=]*", "", _plain(text)).strip(" ()[]")
    plain = re.sub(r"^([0-3])[.,]0$", r"\1", plain).replace(" ", "")
    if plain in ("negative", "neg", "negativ", "negativo", "negatif", "-") or re.fullmatch(
        r"0\+?[/-]1\+?|0or1\+?|1\+?[/-]0\+?", plain
    ):
        return IHC_NEGATIVE
    if plain in ("positive", "pos", "positiv", "positivo", "positif", "+++", "3", "3+", "+3"):
        return "3+"
    if plain in ("++", "2", "2+", "+2") or plain in ("equivocal", "borderline", "aquivok", "equivoco", "equivoque"):
        return "2+"
    found = {"0": "0", "0+": "0", "1": "1+", "1+": "1+", "+1": "1+", "+": "1+"}.get(plain)
    if found is None:
        raise ValueError("write 0, 1+, 2+ or 3+")
    return found


def ish_status(text: str) -> bool | None:
    """Whether in situ hybridization, or HER2 as a whole, is positive; None also where it is undecided."""
    plain = _plain(text)
    if is_missing(text) or plain in _UNDECIDED or _without_marker(plain) in _UNDECIDED:
        return None
    plain = _without_marker(plain)
    if plain in _AMPLIFIED | {"amplification", "overexpressed"}:
        return True
    if _NOT_BEFORE.sub("", plain) in _AMPLIFIED or plain in ("no amplification", "not overexpressed"):
        return False
    found = _decided(plain, _POSITIVE | _YES, _NEGATIVE | _NO)
    if found is None:
        raise ValueError("write positive or negative")
    return found


def receptor_status(text: str) -> bool | None:
    """Whether an estrogen or progesterone receptor is positive: from 1% of stained nuclei on."""
    if is_missing(text):
        return None
    plain = _without_marker(_plain(text))
    found = _receptor_word(plain)
    within = re.fullmatch(r"(.*?)[ ,;:]*\(?(" + _BOUND.pattern + r")\)?", plain)
    word = _receptor_word(within[1].strip(" (")) if within else None
    if found is None and word is not None:
        share = _share_decides(within[2])
        found = word if word == share else None
    elif found is None:
        found = _share_decides(plain)
    if found is None:
        raise ValueError("write positive or negative, or the percentage with a % sign")
    return found


def can_be_score(text: str) -> bool:
    """Whether an entry of a receptor is a bare 2 to 12, which can be a percentage, a score or a code."""
    bare = _bare_number(text)
    return bare is not None and bare.is_integer() and 1 < bare <= _LARGEST_SCORE


def unclear_receptor_numbers(texts: Iterable[str]) -> set[str]:
    """The bare numbers of a column of receptors where all of them can be scores or codes; none where another number
    shows that they are percentages, or where they are only 0 and 1."""
    texts = {*texts}
    plain = [_without_marker(_plain(text)) for text in texts]
    shares = [text for text in plain if _BOUND.fullmatch(text) or _RANGE.fullmatch(text)]
    numbers = [float(found.replace(",", ".")) for text in shares for found in re.findall(_NUMBER, text)]
    if any(value > _LARGEST_SCORE or not value.is_integer() for value in numbers):
        return set()
    return {text for text in texts if _bare_number(text) is not None} if any(map(can_be_score, texts)) else set()


def _bare_number(text: str) -> float | None:
    """The number of an entry that has nothing else in it but the name of a receptor."""
    plain = _without_marker(_plain(text))
    return float(plain.replace(",", ".")) if re.fullmatch(_NUMBER, plain) else None


def _receptor_word(text: str) -> bool | None:
    bare = re.sub(r"^(weak(ly)?|low|moderate(ly)?|strong(ly)?|focal(ly)?)[ -]+", "", text)
    return _decided(bare, _POSITIVE | _YES | {"++", "+++", "1+", "2+", "3+"}, _NEGATIVE | _NO)


def percentage(text: str) -> tuple[float, float] | None:
    """Lowest and highest percentage that an entry can mean: 15, ``<5``, ``>30%``, ``15-20``."""
    return _bounds(text, 100.0, "write a percentage from 0 to 100, such as 15, <5 or 15-20")


def age(text: str) -> tuple[float, float] | None:
    """Lowest and highest age in years that an entry can mean: 54, ``54 years``, ``>89``."""
    return _bounds(_YEARS.sub("", _plain(text)), 120.0, "write the age in years, such as 54 or >89")


def _bounds(text: str, highest: float, hint: str) -> tuple[float, float] | None:
    if is_missing(text):
        return None
    plain = _plain(text)
    between, bound = _RANGE.fullmatch(plain), _BOUND.fullmatch(plain)
    if between:
        low, high = (float(between[i].replace(",", ".")) for i in (1, 2))
    elif bound:
        value = float(bound[2].replace(",", "."))
        low, high = {
            "<": (0.0, math.nextafter(value, -math.inf)),
            "<=": (0.0, value),
            ">": (math.nextafter(value, math.inf), highest),
            ">=": (value, highest),
        }.get(bound[1] or "", (value, value))
    else:
        raise ValueError(hint)
    if not 0 <= low <= high <= highest:
        raise ValueError(hint)
    return low, high


def density(text: str, numbered: bool = False) -> str | None:
    """Breast density category of the ACR, ``A`` to ``D``; percentages up to 25 are A, to 50 B, to 75 C, above D.

    Parameters
    ----------
    text : str
    numbered : bool
        Whether 1 to 4 name the categories, see :func:`density_is_numbered`.
    """
    if is_missing(text):
        return None
    plain = _plain(text)
    bare = _DENSITY_SCALE.sub("", plain)
    letter = re.fullmatch(r"\(?([a-d])\)?(?:\s*[-:,(]\s*[a-z]{3}.*)?", bare)
    if letter:
        return letter[1].upper()
    for words, category in _DENSITY_WORDS.items():
        if words in bare:
            return category
    number_of = {"i": 1, "ii": 2, "iii": 3, "iv": 4}.get(bare)
    if number_of is None and (numbered or bare != plain) and _DENSITY_NUMBER.fullmatch(bare):
        number_of = int(bare[0])
    if number_of is None and bare != plain and "%" not in bare:
        raise ValueError(_DENSITY_HINT)
    return DENSITIES[number_of - 1] if number_of else _density_of_share(bare)


_DENSITY_HINT = "write A, B, C or D, or the percentage"
_DENSITY_SCALE = re.compile(r"^((acr|bi-?rads|breast|density|composition|category|class|type|typ|tipo|grade?)[ :.-]*)+")
_DENSITY_NUMBER = re.compile(r"[1-4]([.,]0)?")
_DENSITY_WORDS = {
    "extremely dense": "D",
    "heterogeneously dense": "C",
    "scattered": "B",
    "entirely fatty": "A",
    "almost fatty": "A",
}


def _density_of_share(text: str) -> str:
    try:
        low, high = percentage(text)
    except (ValueError, TypeError):
        raise ValueError(_DENSITY_HINT) from None
    # Classes such as 25-50% share their ends: the lower one belongs to the class below.
    ends = (math.nextafter(low, math.inf) if low < high else low, high)
    found = {DENSITIES[sum(value > end for end in _DENSITY_ENDS)] for value in ends}
    # Numbers between 0 and 1 can be shares as well.
    if len(found) > 1 or (0 < high < 1 and "%" not in text):
        raise ValueError(_DENSITY_HINT)
    return found.pop()


def is_density_number(text: str) -> bool:
    """Whether a density is a bare 1 to 4, which can name a category or be a percentage."""
    return bool(_DENSITY_NUMBER.fullmatch(_plain(text)))


def density_is_numbered(texts: Iterable[str]) -> bool:
    """Whether a column of densities names the categories 1 to 4: it has no other number."""
    known = [_plain(text) for text in texts if not is_missing(text)]
    return bool(known) and all(_DENSITY_NUMBER.fullmatch(text) or re.fullmatch("i{1,3}|iv", text) for text in known)


def presence(text: str) -> bool | None:
    """Whether a finding is there: yes/no, present/absent, 1/0, +/-."""
    if is_missing(text):
        return None
    found = _decided(_plain(text), _POSITIVE | _YES | _PRESENT, _NEGATIVE | _NO | _ABSENT)
    if found is None:
        raise ValueError("write yes or no")
    return found


def is_idc(text: str) -> bool | None:
    """Whether a histology is invasive ductal carcinoma (no special type), with or without an in situ component."""
    if is_missing(text):
        return None
    plain = _plain(text)
    if not re.search("[a-z]", plain) or plain.startswith("#"):
        raise ValueError("write the histology in words, such as IDC, ILC or DCIS")
    if re.search(r"\b(not|non|no)[ -]+(an? )?(idc|ductal|nst|invasive ductal)", plain):
        return False
    # What accompanies an invasive carcinoma, grades it or describes its growth does not make it another type.
    invasive = plain
    for accompanies in (_IN_SITU, _BENIGN, _GRADING, _PATTERN):
        invasive = accompanies.sub(" ", invasive)
    if re.search(_OTHER_TYPES, invasive):
        return False
    if re.search(r"\b(idc|nst|cdi)\b|no special type|non.?special type", invasive):
        return True
    ductal = re.search(r"\b(ductal|duktal|duttal|canalair)", invasive)
    grows = re.search(r"\b(invas|infiltr)", invasive)
    if (ductal and grows) or (grows and re.search(r"\bnos\b|not otherwise specified", invasive)):
        return True
    if ductal or (grows and re.search(r"cancer|carcinoma|karzinom|carcinome", invasive) and len(invasive.split()) < 4):
        raise ValueError("write IDC for invasive ductal carcinoma, or DCIS, or the other histology")
    return False


_AND = "and|or|with|und|oder|mit|e|o|con|et|ou|avec|y"
_GROWTH = r"(?:micro|intra)?(?:papill|cribri|kribri|solid|comedo|komedo|cling|flat|mixed|apocr|apokr)\w*"
_GROWTHS = rf"{_GROWTH}(?:(?:\s*[,/+&-]\s*|\s+(?:{_AND})\s+|\s+){_GROWTH})*"
_CARCINOMA = r"(?:carcinom\w*|karzinom\w*)"
_DUCT_OR_LOBULE = r"(?:ductal\w*|duktal\w*|duttal\w*|canalair\w*|lobul\w*|lobolar\w*)"
_IN_SITU = re.compile(
    rf"\b(?:{_GROWTHS}[ -]+|mucin\w*[ -]+)?"
    rf"(?:dcis|lcis|cdis|clis|intra-?du[ck]t\w*(?:\s+{_GROWTHS})?(?:\s+{_CARCINOMA})?|"
    rf"{_DUCT_OR_LOBULE}[ -]+(?:(?!(?:{_AND})\b)\w+[ -]+)?in[ -]situ(?:[ -]+{_CARCINOMA})?|"
    rf"{_CARCINOMA}\s+{_DUCT_OR_LOBULE}\s+in[ -]situ|in[ -]situ\s+lob\w*(?:\s+{_CARCINOMA})?|"
    rf"{_CARCINOMA}\s+in[ -]situ)\b"
    r"(?:\s*\((?![^)]*\b(?:idc|ilc|nst|invas|infiltr))[^)]*\)|"
    rf"(?:\s*[,:-])?(?:\s+(?:of|with))?\s+{_GROWTHS}\b(?!\s+(?:invas|infiltr|breast|ca\b|cancer|{_CARCINOMA})))?"
)
_BENIGN = re.compile(
    r"\blob(?:ul|ol)\w*\s+(?:(?:intraepithelial|atypical)\s+)?(?:neoplas|hyperplas|canceri[sz]|extension)\w*|"
    r"\bcanceri[sz]ation of (?:the )?lobules?|\bpapillom\w*"
)
# The grade of an invasive carcinoma counts tubule formation.
_GRADING = re.compile(
    r"\btub(?:ul|ol)\w*[ -]+(?:formation|differen[tz]i\w*|score|grade)\b|\btubul(?:es?|i)\b|\btubulusbildung\b|"
    r"\btubul\w*\s*[:=]?\s*[1-3]\b"
)
_TYPE = r"(?:lobul|mucin|muzin|tubul|(?:micro)?papill|medull|apocr|apokr|cribri|inflammat)\w*"
_PATTERN = re.compile(
    rf"\b{_TYPE}(?:(?:\s*[,/&]\s*|\s+(?:and|or)\s+){_TYPE})*[ -]+(?:growth[ -]+)?(?:patterns?|features?)\b|"
    r"\bpaget\w*|\binflamm\w*"
)
_OTHER_TYPES = re.compile(
    r"\b(ilc|lobul|lobolar|mixed|misto|gemischt|mixte|mucin|muzin|tubul|papill|micropapill|medull|metaplas|apocr|apokr|"
    r"cribri|adenoid|phyll|other|sonstige|altro|altri|autre)"
)


def _without_marker(text: str) -> str:
    """An entry without the name of the marker before it, as in ``FISH+`` or ``ER positive``."""
    bare = _MARKER.sub("", text)
    # The hyphen of HER2-positive is no sign.
    return re.sub(r"^-(?=[a-z])", "", bare).strip() if bare else text


def _decided(text: str, positive: Collection[str], negative: Collection[str]) -> bool | None:
    text = re.sub(r"^([01])[.,]0$", r"\1", text)
    if text in positive:
        return True
    return False if text in negative else None


def _share_decides(text: str) -> bool | None:
    """Whether a share of stained nuclei makes a receptor positive; None where the entry does not tell."""
    try:
        low, high = percentage(text)
    except (ValueError, TypeError):
        return None
    if "%" not in text and (0 < low < 1 or 0 < high < math.nextafter(1, 0)):
        return None
    if low >= RECEPTOR_POSITIVE:
        return True
    return False if high < RECEPTOR_POSITIVE else None


def is_dash(text: str) -> bool:
    """Whether an entry is only a dash, which is a negative finding beside plus signs and a missing entry elsewhere."""
    return bool(re.fullmatch(r"\(?-+\)?", _plain(text)))
