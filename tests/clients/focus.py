"""What the FOCUS export of workflow-cost is worth: PyPI's focus-validator on version 1.0, and the columns of 1.2 by hand.

Prints `{rows, passed, failed, skipped, wrong_1_2, billed}`.

usage: focus.py FILE.csv
"""
import contextlib
import csv
import decimal
import io
import json
import os
import pathlib
import sys
import warnings

# Its dependencies speak of their own future.
warnings.simplefilter("ignore")
import focus_validator
from focus_validator.validator import Validator

# Column of 1.2 -> what its cells may be: a set of words, or a type; None among the words allows an empty cell.
DECIMAL, TEXT, OBJECT = "decimal", "text", "object"
COLUMNS_1_2 = {
    "BillingAccountType": TEXT,
    "CapacityReservationId": {None},
    "CapacityReservationStatus": {None},
    "CommitmentDiscountQuantity": {None, DECIMAL},
    "CommitmentDiscountUnit": {None, TEXT},
    "InvoiceId": {None},
    "PricingCurrency": {"USD"},
    "PricingCurrencyContractedUnitPrice": DECIMAL,
    "PricingCurrencyEffectiveCost": DECIMAL,
    "PricingCurrencyListUnitPrice": DECIMAL,
    "ServiceSubcategory": {
        "Virtual Machines", "Block Storage", "File Storage", "Containers"
    },
    "SkuMeter": TEXT,
    "SkuPriceDetails": OBJECT,
    "SubAccountType": TEXT,
}


def fits(cell, allowed):
    if isinstance(allowed, set):
        words = allowed - {DECIMAL, TEXT}
        if cell == "":
            return None in words
        return cell in words or any(fits(cell, kind) for kind in allowed & {DECIMAL, TEXT})
    if allowed == DECIMAL:
        try:
            return decimal.Decimal(cell) >= 0
        except decimal.InvalidOperation:
            return False
    if allowed == OBJECT:
        return isinstance(json.loads(cell), dict)
    return cell != ""


def of_1_2(rows):
    wrong = []
    for column, allowed in COLUMNS_1_2.items():
        for number, row in enumerate(rows, 2):
            if column not in row:
                wrong.append(f"{column} is missing")
                break
            if not fits(row[column], allowed):
                wrong.append(f"{column} in line {number}: {row[column]!r}")
    for number, row in enumerate(rows, 2):
        # A discount that was committed to is there as a whole or not at all.
        there = {row[f"CommitmentDiscount{part}"] != "" for part in ("Id", "Quantity", "Unit", "Status", "Type")}
        if len(there) > 1:
            wrong.append(f"half a commitment discount in line {number}")
        if row["PricingCurrencyEffectiveCost"] != row["EffectiveCost"]:
            wrong.append(f"two effective costs in line {number}")
    return wrong


def main(path):
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    # It looks for its list of currencies from the folder that it is installed in.
    os.chdir(pathlib.Path(focus_validator.__file__).parent.parent)
    validator = Validator(data_filename=path, output_destination=None, output_type="console", rules_version="1.0")
    # What it prints besides its verdict.
    with contextlib.redirect_stdout(io.StringIO()):
        validator.load()
        result = validator.spec_rules.validate(validator.focus_data)
    status = {}
    for name, check in result.checklist.items():
        status.setdefault(check.status.name, []).append(name)
    passed, skipped = status.pop("PASSED", []), status.pop("SKIPPED", [])
    print(json.dumps({
        "rows": len(rows),
        "passed": len(passed),
        "skipped": skipped,
        "failed": sorted(name for names in status.values() for name in names),
        "wrong_1_2": of_1_2(rows),
        "billed": str(sum(decimal.Decimal(row["BilledCost"]) for row in rows)),
    }))


if __name__ == "__main__":
    main(*sys.argv[1:])
