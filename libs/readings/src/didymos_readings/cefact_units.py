"""Common codes of UN/CEFACT Recommendation 20 as UCUM codes: those that sensors use. Any other code is refused."""

from typing import Final

CEFACT: Final[dict[str, str]] = {
    # length, area, volume
    "MTR": "m", "KMT": "km", "CMT": "cm", "MMT": "mm", "4H": "um", "INH": "[in_i]", "FOT": "[ft_i]",
    "YRD": "[yd_i]", "SMI": "[mi_i]", "NMI": "[nmi_i]", "MTK": "m2", "CMK": "cm2", "MMK": "mm2", "KMK": "km2",
    "HAR": "har", "MTQ": "m3", "CMQ": "cm3", "MMQ": "mm3", "DMQ": "dm3", "LTR": "L", "MLT": "mL",
    # mass, amount, concentration
    "KGM": "kg", "GRM": "g", "MGM": "mg", "MC": "ug", "TNE": "t", "LBR": "[lb_av]", "ONZ": "[oz_av]",
    "C34": "mol", "C18": "mmol", "KMQ": "kg/m3", "GL": "g/L", "M1": "mg/L", "GP": "mg/m3", "GQ": "ug/m3",
    "59": "[ppm]", "61": "[ppb]", "P1": "%", "C62": "1", "H87": "{piece}", "Q30": "[pH]",
    # time, motion, flow
    "SEC": "s", "MIN": "min", "HUR": "h", "DAY": "d", "WEE": "wk", "C26": "ms", "B98": "us", "HTZ": "Hz",
    "KHZ": "kHz", "MHZ": "MHz", "A86": "GHz", "RPM": "{rev}/min", "MTS": "m/s", "KMH": "km/h", "HM": "[mi_i]/h",
    "KNT": "[kn_i]", "MSK": "m/s2", "DD": "deg", "C81": "rad", "MQH": "m3/h", "MQS": "m3/s", "L2": "L/min",
    "G51": "L/s", "E32": "L/h",
    # temperature, pressure, force
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "A48": "[degR]", "PAL": "Pa", "A97": "hPa", "KPA": "kPa", "MPA": "MPa",
    "BAR": "bar", "MBR": "mbar", "PS": "[psi]", "ATM": "atm", "HN": "mm[Hg]", "NEW": "N", "NU": "N.m",
    # energy, electricity
    "JOU": "J", "KJO": "kJ", "3B": "MJ", "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "WTT": "W", "KWT": "kW",
    "MAW": "MW", "C31": "mW", "D46": "V.A", "KVA": "kV.A", "D44": "V.A{var}", "KVR": "kV.A{var}", "AMP": "A",
    "4K": "mA", "B84": "uA", "VLT": "V", "2Z": "mV", "KVT": "kV", "OHM": "Ohm", "FAR": "F", "COU": "C",
    "AMH": "A.h", "SIE": "S",
    # light, sound, radiation, data
    "LUX": "lx", "LUM": "lm", "CDL": "cd", "D54": "W/m2", "2N": "dB", "BQL": "Bq", "A95": "Gy", "D13": "Sv",
    "AD": "By", "2P": "kBy", "4L": "MBy", "A99": "bit", "B10": "bit/s",
}  # fmt: skip
