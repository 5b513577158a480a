"""The pages for people in a real browser: with and without script, in light and dark, on a phone,
while servers fail, and when everything that a server says means harm."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest

from lab.chromium import Chromium
from lab.exporter import endpoint_of, one_cluster
from misbehave import BEHAVIOURS, error_response, first_message

EVIL = b"<script>document.title='owned'</script><img src=x onerror=alert(1)>\xe2\x80\xae\xff\x1b[2J"
COUNT = "document.querySelectorAll('tbody').length"


@pytest.fixture(scope="module")
def browser(scratch):
    with Chromium(scratch / "chromium") as one:
        yield one


@pytest.fixture(scope="module")
def daemon(lab, trust, shared_exporter):
    """Two endpoints that are well and two that are not."""
    BEHAVIOURS["evil"] = first_message(error_response("28000", EVIL + b"x" * 16384, D=EVIL))
    server = lab.postgres()
    given = one_cluster({
        "write": endpoint_of(server), "read": endpoint_of(server, user="u_reject"),
        "evil": endpoint_of(lab.misbehave("evil")), "later": endpoint_of(server, maintenance="<b>new disks</b>")},
        {"user": "u_trust", "dbname": "app", "sslrootcert": str(trust.root_file)})
    given["clusters"].append({"name": "other", **{**given["clusters"][0], "name": "other",
                                                  "endpoints": {"write": endpoint_of(server)}}})
    one = shared_exporter(given)
    one.until(lambda m: len(m.all("pgtls_up")) == 4)
    return one


@pytest.fixture
def base(daemon, browser):
    browser.look()
    browser.complaints.clear()
    yield f"http://{daemon.addresses[0]}"
    assert browser.complaints == []  # of the content security policy, too


def names(browser):
    return browser.run("[...document.querySelectorAll('.endpoint')].map(e => e.innerText)")


def test_the_failing_ones_stand_first_and_say_why(browser, base):
    browser.go(base + "/")
    assert names(browser) == ["lab/read", "lab/evil", "lab/write", "other/write", "lab/later"]
    first = browser.run("document.querySelector('tbody').innerText")
    assert "Failed in startup" in first and "What to do:" in first and "hba_reject_rule_ssl" in first
    browser.run("document.querySelector('tbody a.fault').click()")
    browser.until("location.pathname === '/fault' && document.readyState === 'complete'")
    assert "What it means" in browser.run("document.body.innerText")


def test_what_a_server_says_is_text(browser, base):
    browser.go(base + "/")
    said = browser.run("[...document.querySelectorAll('.said')].map(e => e.innerText).join()")
    assert "<script>document.title='owned'</script><img src=x onerror=alert(1)>" in said
    assert r"\u202e" in said and r"\xff" in said and r"\x1b" in said
    assert "owned" not in browser.run("document.title")
    assert browser.run("document.querySelectorAll('main img, main script, main b.disks').length") == 0
    assert "<b>new disks</b>" in browser.run("document.body.innerText")


@pytest.mark.parametrize("script", [True, False])
def test_filter(browser, base, script):
    browser.look(script=script)
    browser.go(base + "/")
    browser.look(script=True)  # the test's own questions need it; the page has been loaded without
    browser.run("document.querySelector('[name=q]').focus()")
    browser.type("evil")
    if not script:
        browser.press("Enter")
    browser.until(f"{COUNT} === 1 && location.search.includes('q=evil')")
    assert names(browser) == ["lab/evil"]
    assert browser.run("document.querySelector('[name=q]').value") == "evil"
    browser.go(base + "/?cluster=lab&state=ok")
    assert names(browser) == ["lab/write"]
    links = browser.run("[...document.querySelectorAll('.kinds a')].map(a => a.href)")
    assert all(parse_qs(urlsplit(link).query)["cluster"] == ["lab"] for link in links)


def test_a_server_has_its_own_page(browser, base):
    browser.go(base + "/?cluster=other")
    browser.run("document.querySelector('a.name').click()")
    browser.until("location.pathname === '/server' && document.readyState === 'complete'")
    text = browser.run("document.body.innerText")
    assert "CN=localhost" in text and "verify-full" in text and "ssl_request" in text
    browser.run("document.querySelector('header a').click()")
    browser.until("location.pathname === '/'")


def luminance(colour):
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


# Every element with a text of its own: its colour and that of what lies behind it.
COLOURS = """[...document.querySelectorAll('body *')].filter(e => e.getClientRects().length
  && [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
    let behind = e;
    while (behind.parentElement && getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
      behind = behind.parentElement;
    return [e.className + ': ' + e.innerText, getComputedStyle(e).color,
            getComputedStyle(behind).backgroundColor]; })"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser, base, scheme):
    browser.look(scheme=scheme)
    browser.go(base + "/")
    background = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (luminance(background) < 0.1) == (scheme == "dark")
    for what, front, back in browser.run(COLOURS):
        light, dark = sorted((luminance(front), luminance(back)), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5, what


@pytest.mark.parametrize("path", ["/", "/server", "/fault?id=hba_reject_rule_ssl"])
def test_on_a_phone_nothing_is_cut_off(browser, base, path):
    browser.look(width=360, height=740)
    if path == "/server":
        browser.go(base + "/")
        path = "/" + browser.run("document.querySelector('a.name').getAttribute('href')")
    browser.go(base + path)
    assert browser.run("document.documentElement.scrollWidth") <= 360


def test_by_keyboard_and_by_name(browser, base):
    """The first stop leads past the filter; what can be used has a name, and bars say what they show."""
    browser.go(base + "/")
    browser.press("Tab")
    assert browser.run("document.activeElement.className") == "skip"
    assert browser.run("document.activeElement.getBoundingClientRect().left") >= 0
    browser.press("Enter")
    browser.press("Tab")
    assert browser.run("document.activeElement.closest('main') !== null")
    assert browser.run("[...document.querySelectorAll('input:not([type=hidden]), select')].every(e => e.labels.length)")
    assert browser.run("[...document.querySelectorAll('svg')].every(e => e.getAttribute('aria-label')"
                       " || e.getAttribute('aria-hidden') === 'true')")
    assert browser.run("[...document.querySelectorAll('th')].every(e => e.scope)")
    assert browser.run("document.documentElement.lang") == "en"


def test_it_keeps_itself_up_to_date(lab, trust, browser, exporter):
    server = lab.new_postgres()
    daemon = exporter(one_cluster({"write": endpoint_of(server)}, {
        "user": "u_trust", "dbname": "app", "sslrootcert": str(trust.root_file)}))
    daemon.until(lambda m: m.value("pgtls_up") == 1)
    browser.look()
    browser.go(f"http://{daemon.addresses[0]}/")
    assert names(browser) == ["lab/write"] and browser.run("document.querySelector('tbody').className") == "ok"
    browser.run("document.querySelector('a.name').focus()")
    server.stop()
    daemon.until(lambda m: m.value("pgtls_up") == 0)
    browser.until("document.querySelector('tbody').className === 'down'", 40)
    assert "1 down" in browser.run("document.title")
    assert browser.run("document.activeElement.className") == "name"  # the focus stayed where it was
    daemon.stop()
    browser.until("document.body.classList.contains('stale')", 40)
    assert "does not answer" in browser.run("document.getElementById('asof').innerText")
    browser.complaints.clear()  # that nobody answered
