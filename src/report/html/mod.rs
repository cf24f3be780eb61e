//! The report as a page: one file that loads nothing, works without scripts, in print, and in the
//! dark. Every number on it says where in the JSON report it stands (`data-json`), and the JSON is
//! in the page, so that a test can compare.

mod chart;
mod coverage;
mod files;
mod nightly;
mod rejects;
mod text;
mod top;

use std::fmt::Write;

use self::text::{T, json_data};
use super::human;
use super::model::{Report, ReportError};
use crate::error::Exit;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The only script that the page's policy lets run: SHA-256 of `page.js`, as browsers compute it.
const SCRIPT_HASH: &str = include_str!("page.js.sha256");

/// The page.
///
/// # Errors
/// Only if serialisation itself fails.
pub fn page(report: &Report) -> Result<String, ReportError> {
    let json = report.to_json()?;
    let mut out = String::with_capacity(64 << 10);
    head(&mut out, report);
    top::header(&mut out, report);
    out.push_str("<main>\n");
    top::next_steps(&mut out, report);
    top::totals(&mut out, report);
    nightly::section_of(&mut out, report);
    chart::speed(&mut out, report);
    rejects::section_of(&mut out, report);
    files::section_of(&mut out, report);
    coverage::section_of(&mut out, report);
    chart::earlier(&mut out, report);
    files::details(&mut out, report);
    out.push_str("</main>\n");
    foot(&mut out, report, &json);
    Ok(out)
}

/// What a run is called by how it ended, and the class of its colour.
fn ending(report: &Report) -> (&'static str, &'static str) {
    match report.exit {
        Exit::Done => ("Done", "good"),
        Exit::Rejects => ("Done, with rejects", "warn"),
        Exit::Budget => ("Stopped: too many rejects", "bad"),
        Exit::Accounts => ("The accounts do not add up", "bad"),
        Exit::Interrupted => ("Interrupted", "warn"),
        Exit::Locked => ("Not run: another run holds the lock", "warn"),
        Exit::Failed | Exit::Usage => ("Failed", "bad"),
    }
}

fn head(out: &mut String, report: &Report) {
    let (word, _) = ending(report);
    // Writing to a string cannot fail; so everywhere in this room.
    let _ = write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'sha256-{hash}'; img-src data:\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <link rel=\"icon\" href=\"data:,\">\n\
         <title>{word}: {command} {run} - Tidegate</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n",
        hash = SCRIPT_HASH.trim(),
        command = T(&report.command),
        run = T(&report.run_id),
    );
}

fn foot(out: &mut String, report: &Report, json: &str) {
    let _ = write!(
        out,
        "<footer><p>{program}. All times are UTC. The report for machines is inside this page; \
         <code>--report run.json</code> writes it by itself.</p></footer>\n\
         <script type=\"application/json\" id=\"report\">{json}</script>\n\
         <script>\n{SCRIPT}</script>\n</body>\n</html>\n",
        program = T(&report.program),
        json = json_data(json),
    );
}

/// A section with a heading that can be linked to.
fn section(out: &mut String, id: &str, title: &str, content: impl FnOnce(&mut String)) {
    let _ = write!(out, "<section id=\"{id}\" aria-labelledby=\"{id}-h\">\n<h2 id=\"{id}-h\">");
    let _ = writeln!(out, "{title}</h2>");
    content(out);
    out.push_str("</section>\n");
}

/// A moment to the second.
fn moment(time: jiff::Timestamp) -> String {
    let shown = time.strftime("%Y-%m-%d %H:%M:%S");
    format!("<time datetime=\"{time:.3}\">{shown}</time>")
}

/// A part of a whole in percent with as many digits as it needs.
fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 * 100.0 / whole.max(1) as f64;
    match share {
        0.0 => "0 %".to_owned(),
        share if share < 0.01 => "under 0.01 %".to_owned(),
        share if share < 1.0 => format!("{share:.2} %"),
        share if share > 99.99 && part < whole => "over 99.99 %".to_owned(),
        share if share > 99.0 && part < whole => format!("{share:.2} %"),
        share => format!("{share:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::sample;
    use super::*;
    use serde_json::Value;

    /// The JSON that a page carries.
    fn carried(page: &str) -> Value {
        let (_, rest) = page.split_once("id=\"report\">").unwrap();
        serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
    }

    /// Every number of a page that says where it stands in the JSON is that number.
    fn numbers_are_true(page: &str, json: &Value) -> usize {
        let mut checked = 0;
        for part in page.split("<data value=\"").skip(1) {
            let (value, rest) = part.split_once('"').unwrap();
            let pointer = rest.split_once("data-json=\"").unwrap().1.split_once('"').unwrap().0;
            let found = json.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is not there"));
            // Reading a number back may differ in its last bit.
            let (value, found) = (value.parse::<f64>().unwrap(), found.as_f64().unwrap());
            assert!((value - found).abs() <= found.abs() * 1e-12, "{pointer}: {value} {found}");
            checked += 1;
        }
        checked
    }

    /// Base64, as policies have hashes.
    fn base64(bytes: &[u8]) -> String {
        const DIGITS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for part in bytes.chunks(3) {
            let byte = |at: usize| u32::from(part.get(at).copied().unwrap_or(0));
            let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
            for digit in 0..4_usize {
                let value = bits >> (18 - 6 * digit) & 63;
                let shown = digit <= part.len();
                text.push(if shown { char::from(DIGITS[value as usize]) } else { '=' });
            }
        }
        text
    }

    #[test]
    fn the_policy_names_the_script_that_is_on_the_page() {
        use sha2::{Digest, Sha256};
        // The element's text begins with the line end behind its tag.
        let hash = base64(&Sha256::digest(format!("\n{SCRIPT}")));
        assert_eq!(SCRIPT_HASH.trim(), hash, "scripts/html-script-hash writes it anew");
    }

    #[test]
    fn the_page_says_what_the_json_says() {
        let report = sample();
        let page = page(&report).unwrap();
        let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(carried(&page), json);
        assert!(numbers_are_true(&page, &json) > 20);
        assert!(page.contains("Done, with rejects"));
    }

    #[test]
    fn names_and_values_cannot_become_markup() {
        const EVIL: &str = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\"'";
        let mut report = sample();
        report.command = EVIL.into();
        report.job = Some(EVIL.into());
        report.strategy = Some(EVIL.into());
        report.database.server_version = Some(EVIL.into());
        report.files[0].source = EVIL.into();
        report.files[0].layout = Some(EVIL.into());
        report.files[0].error = Some(EVIL.into());
        report.rejects_by_rule.insert(EVIL.into(), 1);
        report.reject_examples[0].raw = EVIL.into();
        report.reject_examples[0].reason = EVIL.into();
        report.reject_examples[0].place.source = EVIL.into();
        report.messages.push(EVIL.into());
        report.ignored.push(EVIL.into());
        report.settings.insert(EVIL.into(), EVIL.into());
        report.tables.insert(EVIL.into(), Default::default());
        report.waits.insert(EVIL.into(), 1.0);
        report.stages.insert(EVIL.into(), 1.0);
        report.bottleneck = Some(EVIL.into());
        report.resume_command = Some(EVIL.into());
        report.replay_command = Some(EVIL.into());
        report.rejects_at.push(EVIL.into());
        let page = page(&report).unwrap();
        assert!(!page.contains("<img") && !page.contains("<script>alert"), "{page}");
        assert_eq!(page.matches("<script").count(), 2, "the data and the one script of ours");
        let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
        assert_eq!(carried(&page), json);
    }

    #[test]
    fn an_empty_report_is_a_page_too() {
        let report = Report::new("", "backfill", "2026-01-02T03:04:05Z".parse().unwrap());
        let page = page(&report).unwrap();
        assert!(page.contains("No records were read"));
        let _ = carried(&page);
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        let page = page(&sample()).unwrap();
        for word in ["http://", "https://", "@import", "url(", " src="] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(word), "{word}");
        }
    }

    #[test]
    fn shares_are_never_rounded_to_all_or_nothing() {
        assert_eq!(percent(1, 5_000_000), "under 0.01 %");
        assert_eq!(percent(4_999_999, 5_000_000), "over 99.99 %");
        assert_eq!(percent(9_950, 10_000), "99.50 %");
        assert_eq!(percent(0, 10), "0 %");
        assert_eq!(percent(1, 2), "50.0 %");
    }
}
