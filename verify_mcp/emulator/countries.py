"""The countries of the pretend account: numbers, networks, prices and conversion."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random


@dataclass(frozen=True)
class Network:
    """A mobile operator and the national prefixes of its numbers."""

    name: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Country:
    """A destination: `digits` is the length of national numbers, `weight` its share of sessions."""

    iso2: str
    calling_code: str
    digits: int
    weight: int
    conversion: float
    prices: dict[str, Decimal]
    networks: tuple[Network, ...]
    locale: str = "en"


@dataclass(frozen=True)
class Recipient:
    """A person who can receive a code."""

    recipient: str
    country: Country
    network: str


def _prices(sms: str, voice: str, whatsapp: str) -> dict[str, Decimal]:
    return {"sms": Decimal(sms), "voice": Decimal(voice), "whatsapp": Decimal(whatsapp)}


COUNTRIES = (
    Country(
        *("IN", "91", 10, 30, 0.74),
        _prices("0.08", "0.033", "0.0042"),
        (
            Network("Jio", ("7019", "8197", "9380")),
            Network("AirTel", ("9810", "9886", "9945")),
            Network("IDEA", ("9822", "9848")),
        ),
    ),
    Country(
        *("US", "1", 10, 17, 0.82),
        _prices("0.0055", "0.011", "0.0135"),
        (
            Network("Verizon", ("2127", "3124", "9176")),
            Network("AT&T", ("2142", "3053", "4043")),
            Network("T-Mobile", ("2064", "4152", "6463")),
        ),
    ),
    Country(
        *("BR", "55", 11, 11, 0.7),
        _prices("0.0385", "0.075", "0.0315"),
        (
            Network("Vivo", ("1199", "2199")),
            Network("Claro", ("1197", "3198")),
            Network("TIM", ("1198", "4199")),
        ),
        "pt_BR",
    ),
    Country(
        *("ID", "62", 11, 10, 0.68),
        _prices("0.31", "0.12", "0.025"),
        (
            Network("Telkomsel", ("812", "813", "852")),
            Network("Indosat", ("857", "858")),
            Network("XL", ("877", "878")),
        ),
        "id",
    ),
    Country(
        *("GB", "44", 10, 8, 0.83),
        _prices("0.0421", "0.018", "0.022"),
        (Network("EE", ("7400", "7500")), Network("O2", ("7710",)), Network("Three", ("7878",))),
        "en_GB",
    ),
    Country(
        *("FR", "33", 9, 5, 0.8),
        _prices("0.0641", "0.052", "0.0432"),
        (Network("Orange", ("607", "686")), Network("SFR", ("603", "612"))),
        "fr_FR",
    ),
    Country(
        *("DE", "49", 11, 5, 0.81),
        _prices("0.0876", "0.048", "0.0768"),
        (Network("Telekom", ("1512", "1514")), Network("Vodafone", ("1520", "1522"))),
        "de_DE",
    ),
    Country(
        *("MX", "52", 10, 4, 0.72),
        _prices("0.0355", "0.032", "0.0239"),
        (Network("Telcel", ("5554", "5512")), Network("Movistar", ("3312",))),
        "es_MX",
    ),
    Country(
        *("PH", "63", 10, 4, 0.69),
        _prices("0.0521", "0.15", "0.0113"),
        (Network("Globe", ("917", "927")), Network("Smart", ("918", "920"))),
    ),
    Country(
        *("NG", "234", 10, 3, 0.61),
        _prices("0.24", "0.18", "0.0067"),
        (Network("MTN", ("803", "806")), Network("Glo", ("805",))),
    ),
    Country(
        *("AE", "971", 9, 2, 0.77),
        _prices("0.0712", "0.22", "0.0157"),
        (Network("Etisalat", ("50", "56")), Network("du", ("52", "55"))),
        "ar",
    ),
    Country(
        *("AZ", "994", 9, 1, 0.66),
        _prices("0.3712", "0.31", "0.0341"),
        (Network("Azercell", ("502", "503")), Network("Bakcell", ("552", "553"))),
    ),
)

BY_ISO2 = {country.iso2: country for country in COUNTRIES}
_WEIGHTS = [country.weight for country in COUNTRIES]


def make_number(random: Random, country: Country, prefix: str) -> str:
    """A number of the right length under `prefix`, in digits, without a plus."""
    missing = country.digits - len(prefix)
    return f"{country.calling_code}{prefix}{random.randrange(10**missing):0{missing}d}"


def make_recipient(
    random: Random, country: Country | None = None, network: str | None = None
) -> Recipient:
    """A person in any country, or in `country`, or on `network` of that country."""
    country = country or random.choices(COUNTRIES, _WEIGHTS)[0]
    operators = [item for item in country.networks if network in {None, item.name}]
    operator = random.choice(operators)
    return Recipient(
        make_number(random, country, random.choice(operator.prefixes)), country, operator.name
    )
