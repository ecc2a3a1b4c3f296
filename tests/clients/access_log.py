"""What `headwater solution run clickstream` must find in an access log, computed another way.

Regular expressions for the lines, MaxMind's own reader for places, woothee for user agents, and sorting for visits.

usage: access_log.py LOG CITY.mmdb
"""
import collections
import datetime
import ipaddress
import json
import re
import sys

import maxminddb
import woothee

LINE = re.compile(
    r'^(\S+) (\S+) (\S+) \[([^\]]+)\] "(?:[^"\\]|\\.)*" (\d{3}) (\d+|-) "(?:[^"\\]|\\.)*" "((?:[^"\\]|\\.)*)"$'
)
SCRIPTS = (
    "http:// https:// preview library bot crawl spider slurp curl/ wget/ python java/ okhttp go-http-client libwww "
    "httpclient headless phantomjs selenium puppeteer playwright scrapy axios/ node-fetch ruby perl nutch postman"
).split()
GAP = 1800
PACE = 120


def is_script(agent):
    lower = agent.lower()
    if lower.strip() in ("", "-") or any(word in lower for word in SCRIPTS):
        return True
    return woothee.parse(agent)["category"] == "crawler"


def visits(times):
    times = sorted(times)
    return 1 + sum(1 for before, after in zip(times, times[1:]) if after - before > GAP)


def too_fast(times):
    times = sorted(times)
    return any(after - before < 60 for before, after in zip(times, times[PACE:]))


lines = failed = 0
visitors = collections.defaultdict(list)
countries = collections.Counter()
with open(sys.argv[1], encoding="utf-8", errors="replace") as log, maxminddb.open_database(sys.argv[2]) as places:
    for line in log:
        lines += 1
        found = LINE.match(line.rstrip("\n"))
        if not found:
            failed += 1
            continue
        address, agent = found[1], found[7]
        time = datetime.datetime.strptime(found[4], "%d/%b/%Y:%H:%M:%S %z").timestamp()
        visitors[address, agent].append(time)
        place = places.get(ipaddress.ip_address(address))
        if place and place.get("country_code"):
            countries[place["country_code"]] += 1

bots = {who for who, times in visitors.items() if is_script(who[1]) or too_fast(times)}
figures = {
    "events": lines,
    "failed": failed,
    "enriched": lines - failed,
    # Lines are out of order by up to a minute, which the first pipeline waits for.
    "late": 0,
    "sessions": sum(visits(times) for times in visitors.values()),
    "visitors": len(visitors),
    "countries": len(countries),
    "bots": len(bots),
    "bot_events": sum(len(visitors[who]) for who in bots),
    "top_countries": sorted(countries.items(), key=lambda item: (-item[1], item[0]))[:5],
}
print(json.dumps(figures))
