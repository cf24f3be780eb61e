//! Recognition of whole files: fixtures, real files, renamed files, and files that nobody knows.

use super::*;

fn text<'a>(name: &'a str, text: &'a str) -> Sample<'a> {
    Sample { name, head: SampleHead::Text { bytes: text.as_bytes(), whole: true } }
}

fn layouts() -> &'static [Layout] {
    registry().expect("the built-in layouts parse")
}

#[test]
fn first_look() {
    let s = "1730419200000,70292.01,70470.0,70146.8,70173.7,840.4,1730422799999,59096143.3,128807,448.8,31559502.4,0\n";
    for name in ["BTCUSDT-1h-2024-11.csv", "BTCUSDT-1h-2024-11 (1).csv", "copy BTCUSDT-1h.csv", "x.csv"] {
        println!("{:#?}", recognise(&text(name, s), &GivenFacts::default(), layouts(), None));
    }
    let s = "Timestamp;SYMBOL;open;high;low;close;vol;interval;adj\n2024-01-01;A;1;1;1;1;1;1d;\n";
    println!("{:#?}", recognise(&text("x.csv", s), &GivenFacts::default(), layouts(), None));
    let s = "Timestamp;SYMBOL;open;hig;low;clo;vol;interval;adj\n2024-01-01;A;1;1;1;1;1;1d;\n";
    println!("{}", recognise(&text("x.csv", s), &GivenFacts::default(), layouts(), None).unwrap_err());
}
