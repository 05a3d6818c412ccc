"""The report as pages: text is escaped, pictures are inside or beside, verdicts stand out."""

from ssgan.paper.pages import Figure, Report, Table, files_of, html_page, markdown_page

CLAIMS = Table(
    "Claims",
    ("section", "claim", "verdict", "measured as"),
    (("5.1", "Less < more.", "does not hold", "mean | spread"),),
)
REPORT = Report(
    title="MNIST & more",
    about=("Made by `ssgan reproduce`, <fast>.",),
    tables=(
        CLAIMS,
        Table("Numbers", ("labels", "loss"), (("0 (InfoGAN)", "0.5"),), "A note."),
    ),
    figures=(Figure("loss", "Figure 3a: the loss.", b"PNG bytes"),),
)


def test_the_html_page_is_one_file_without_links() -> None:
    page = html_page(REPORT)
    assert "<h1>MNIST &amp; more</h1>" in page
    assert "<p>Made by <code>ssgan reproduce</code>, &lt;fast&gt;.</p>" in page
    assert '<td class="fails">does not hold</td>' in page
    assert 'src="data:image/png;base64,UE5HIGJ5dGVz"' in page
    assert "http" not in page.replace("http-equiv", "")
    assert html_page(REPORT) == page


def test_the_markdown_page_has_its_pictures_beside_it() -> None:
    page = markdown_page(REPORT, "paper-mnist")
    assert page.startswith("# MNIST & more\n")
    assert "| 5.1 | Less < more. | does not hold | mean \\| spread |" in page.splitlines()
    assert "\n\nA note.\n\n" in page
    assert "![Figure 3a: the loss.](paper-mnist/loss.png)" in page


def test_what_is_shared_may_show_less_than_what_is_not() -> None:
    shared = REPORT._replace(figures=(Figure("loss", "Figure 3a: the loss.", b"no faces"),))
    files = files_of(REPORT, "paper-celeba", shared)
    assert set(files) == {"paper-celeba.html", "paper-celeba.md", "paper-celeba/loss.png"}
    assert files["paper-celeba/loss.png"] == b"no faces"
    assert b"UE5HIGJ5dGVz" in files["paper-celeba.html"]


def test_the_measurements_stand_beside_the_markdown_page() -> None:
    files = files_of(REPORT._replace(curves=b"labels,loss"), "paper-mnist")
    assert files["paper-mnist/curves.csv"] == b"labels,loss"
    assert b"[curves.csv](paper-mnist/curves.csv)" in files["paper-mnist.md"]
