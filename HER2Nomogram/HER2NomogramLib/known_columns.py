"""Which column of a table is which: what columns of clinical tables are called, in several languages."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache

from .cases import similar_column
from .errors import InputError
from .messages import quoted

KNOWN = (
    "case_id", "patient_id", "her2", "her2_ihc", "her2_ish", "er", "pr", "ki67", "age", "breast_density",
    "microcalcifications", "histology", "tumor_diameter_mm",
)  # fmt: skip
IDENTIFIERS = ("case_id", "patient_id")
# What HER2 status is derived from.
HER2_COLUMNS = ("her2", "her2_ihc", "her2_ish")
# As _bare leaves a name: small letters and digits, without accents.
_SYNONYMS = {
    "case_id": "caseid case casenumber caseno casenr id lesionid lesion studyid studyno fallnummer fallnr fall idcaso",
    "patient_id": (
        "patientid patient patid patientno patientnumber patientnr patientennummer patientennr patient pid mrn "
        "subjectid subject subjid idpaziente paziente codicepaziente idpatient patiente numeropatient "
        "idpaciente paciente"
    ),
    "her2": (
        "her2 her2status her2pos her2positive her2mostpos her2neu her2neustatus her2final her2finalstatus cerbb2 "
        "cerbb2status erbb2 erbb2status statuther2 statoher2 estadoher2 her2positivity her2result her2overall"
    ),
    "her2_ihc": (
        "her2ihc ihcher2 her2ihcscore ihcscore her2score her2scoreihc her2neuihc her2immunohistochemistry ihc "
        "her2byihc her2ihcstatus scoreher2 her2dako her2ihk ihkher2 her2iic iicher2"
    ),
    "her2_ish": (
        "her2ish ish fish her2fish fishher2 ishher2 sish cish dish her2sish her2cish her2dish fishresult ishresult "
        "fishstatus ishstatus her2fishstatus her2ishstatus her2amplification her2byfish her2byish fishish ishfish"
    ),
    "er": (
        "er erstatus erpos erpositive erpercent erpct erihc estrogenreceptor estrogenreceptorstatus "
        "oestrogenreceptor oestrogenreceptorstatus ostrogenrezeptor oestrogenrezeptor ostrogenrezeptorstatus "
        "recettoreestrogeni recettoriestrogeni recettoreestrogenico recettoriestrogenici re recepteuroestrogene "
        "recepteursauxoestrogenes receptordeestrogenos receptorestrogenos receptoresdeestrogenos erexpression"
    ),
    "pr": (
        "pr pgr prstatus pgrstatus prpos pgrpos prpositive pgrpositive prpercent pgrpercent prihc pgrihc "
        "progesteronereceptor progesteronereceptorstatus progesteronrezeptor progesteronrezeptorstatus "
        "recettoreprogesterone recettoriprogesterone recettoreprogestinico recettoriprogestinici rp rpg "
        "recepteurprogesterone recepteursalaprogesterone receptordeprogesterona receptoresdeprogesterona prexpression"
    ),
    "ki67": (
        "ki67 ki67index ki67li ki67labelingindex ki67labellingindex ki67percent ki67pct ki67proliferationindex "
        "ki67proliferation mib1"
    ),
    "age": (
        "age ageatdiagnosis agediagnosis ageatdx agedx ageyears ageyrs ageinyears patientage ageatdiagnosisyears "
        "ageatsurgery ageatbiopsy ageatimaging alter alterbeidiagnose alterbeierstdiagnose alterjahre alterinjahren "
        "eta etaalladiagnosi etaanni aagealadiagnostic agealadiagnostique agediagnostic edad edadaldiagnostico"
    ),
    "breast_density": (
        "breastdensity density acrdensity densityacr breastdensityacr acrbreastdensity biradsdensity densitybirads "
        "breastdensitybirads acrcategory acr mammographicdensity breastcomposition densitycategory brustdichte dichte "
        "brustdichteacr acrdichte densita densitamammaria densitadellamammella densite densitemammaire densidad "
        "densidadmamaria"
    ),
    "microcalcifications": (
        "microcalcifications microcalcification microcalc microcalcs microca calcifications calcification mikrokalk "
        "mikrokalzifikationen mikrokalzifikation mikroverkalkungen mikroverkalkung microcalcificazioni "
        "microcalcificazione microcalcificaciones"
    ),
    "histology": (
        "histology histologictype histologicaltype histologytype histopathology histotype histologicsubtype "
        "histologicalsubtype histologie histologischertyp histologietyp istologia istotipo tipoistologico "
        "typehistologique histologia tipohistologico"
    ),
    "tumor_diameter_mm": (
        "tumordiametermm tumourdiametermm tumorsizemm tumoursizemm tumordurchmessermm tumorgroessemm tumorgrossemm "
        "tumorgrosemm diametermm sizemm lesionsizemm lesiondiametermm diametrotumoremm diametrodeltumoremm "
        "dimensionemm diametromm taillemm tailletumoralemm tamanotumoralmm largestdiametermm maximumdiametermm "
        "maxdiametermm"
    ),
}
# HER2 and its gene, but not the end of another word (other2), and drugs that are only given where it is positive.
_HER2 = re.compile(
    r"(?<![a-z])(her[-_ ./]*2(?!\d)|(c[-_ ./]*)?erb[-_ ./]*b[-_ ./]*2(?!\d))|trastuzumab|pertuzumab|hercept"
)
# What else tells the HER2 status, and what may stand beside it in a name, as _bare leaves them: ER IHC and histologic
# subtype are something else.
_ASSAYS = "fish ish sish cish dish ddish fishish ishfish ihc ihk iic cep17ratio ratiocep17"
_OF_ASSAY = (
    "status result results resultat resultado risultato ergebnis befund ratio score test value final class group "
    "category grade intensity signal signals amplified amplification amplifikation cep17 positive positiv positivo "
    "positif pos negative negativ negativo negatif neg"
)
_SUBTYPES = (
    "immunophenotype immunophenotyp immunphenotyp immunphanotyp immunphaenotyp immunofenotipo inmunofenotipo subtype "
    "subtypes subtyp subtypen sottotipo sottotipi soustype soustypes subtipo subtipos phenotype phanotyp phaenotyp "
    "fenotipo pam50 luminal luminala luminalb luminalab luminale basallike tnbc triplenegative triplenegativ "
    "triplenegativo triplenegatif triplonegativo triplanegativa tripelnegativ moleculartype molecularclass "
    "molecularclassification molekulartyp molekularertyp tipomolecolare tipomolecular typemoleculaire"
)
_OF_SUBTYPE = (
    "breast tumor tumour cancer carcinoma molecular molekular molekularer molekulare molecolare molecolari moleculaire "
    "moleculaires moleculares intrinsic intrinsischer intrinseco intrinseque surrogate immunohistochemical "
    "immunohistochemistry immunhistochemischer immunoistochimico immunohistochimique inmunohistoquimico ihc ihk "
    "biological biologic biologischer biologico clinicopathological clinicopathologic genomic stgallen final name code "
    "class classification group status category type del de du la of the is by"
)
_OF_NAME = {synonym: known for known, synonyms in _SYNONYMS.items() for synonym in synonyms.split()}


def recognize(
    table: str, columns: Sequence[str], given: Mapping[str, str]
) -> tuple[dict[str, str], dict[str, tuple[str, ...]]]:
    """Which columns of a table are the known ones.

    The name itself comes before a synonym.

    Parameters
    ----------
    table : str
        Name of the table, for messages.
    columns : sequence of str
    given : mapping of str to str
        Own column by known name, where the user says so.

    Returns
    -------
    tuple of dict
        Own column by known name, and the columns that could be meant where these are several.

    Raises
    ------
    InputError
        Where a name that the user gave is not there.
    """
    found = _checked(table, columns, given)
    candidates: dict[str, list[str]] = {}
    for column in columns:
        known = _OF_NAME.get(_bare(column))
        if known and known not in found and column not in found.values():
            candidates.setdefault(known, []).append(column)
    unclear = {}
    for known, names in candidates.items():
        exact = [name for name in names if name.lower() == known]
        if exact or len(names) == 1:
            found[known] = (exact or names)[0]
        else:
            unclear[known] = tuple(names)
    return {known: found[known] for known in KNOWN if known in found}, unclear


def find_column(name: str, columns: Sequence[str]) -> str | None:
    """The column of a name, written with other capitals perhaps."""
    if name in columns:
        return name
    return next((column for column in columns if column.lower() == name.strip().lower()), None)


def tells_her2(column: str) -> bool:
    """Whether a column of this name tells the HER2 status, alone or with other findings.

    Columns of HER2 itself, of its immunohistochemistry and in situ hybridization, of immunophenotypes and molecular
    subtypes, in the languages of the known columns; the receptors and Ki-67 are not among them.

    Parameters
    ----------
    column : str
        Name of a column or of a derived variable.
    """
    bare = _bare(column)
    if _OF_NAME.get(bare, "").startswith("her2") or _HER2.search(_plain(re.sub("(?<=[a-z])(?=[A-Z])", "_", column))):
        return True
    for telling, beside in ((_ASSAYS, _OF_ASSAY), (_SUBTYPES, _OF_SUBTYPE)):
        rest = _any_of(telling).sub("", bare, count=1)
        if rest != bare and not _any_of(f"{telling} {beside}").sub("", rest):
            return True
    return False


@cache
def _any_of(words: str) -> re.Pattern[str]:
    """Any of some words, the longest that fits."""
    return re.compile("|".join(sorted(words.split(), key=len, reverse=True)))


def _checked(table: str, columns: Sequence[str], given: Mapping[str, str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for known, own in given.items():
        if known not in KNOWN:
            raise InputError(
                f"--map {known}={own}: '{known}' is no known name{similar_column(known, KNOWN)}: give one of "
                f"{', '.join(KNOWN)}."
            )
        column = find_column(own, columns)
        if column is None:
            raise InputError(
                f"--map {known}={own}: table '{table}' has no column '{own}'{similar_column(own, columns)}: give one "
                f"of {quoted(columns)}."
            )
        if known not in IDENTIFIERS and _OF_NAME.get(_bare(column)) in IDENTIFIERS:
            raise InputError(f"--map {known}={own}: column '{column}' identifies cases or patients: map another one.")
        if column in found.values():
            raise InputError(f"--map {known}={own}: column '{column}' is mapped twice: map it to one name.")
        found[known] = column
    return found


def _bare(name: str) -> str:
    return re.sub("[^a-z0-9]", "", _plain(name))


def _plain(name: str) -> str:
    """A name in small letters without accents."""
    text = unicodedata.normalize("NFKD", name.replace("\u00df", "ss").replace("\u0153", "oe").replace("\u0152", "OE"))
    return "".join(character for character in text if not unicodedata.combining(character)).lower()
