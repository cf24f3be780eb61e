//! Files in the shape or under the name of a vendor's that are not: they are not loaded as its, and
//! what is said of them leads to rows.

use std::fmt::Write as _;

use crate::support::{Program, TestDb, equations, file, load};

/// Bars of days in the shape of Kraken's history, with prices in the order that `places` says.
fn seven_fields(places: [usize; 4]) -> String {
    let mut text = String::new();
    for at in 0..60_u32 {
        let price = |at: u32| 100.0 + f64::from(at * 7_919 % 101) / 10.0;
        let (open, close) = (price(at), price(at + 1));
        let bar = [open, open.max(close) + 0.25, open.min(close) - 0.25, close];
        let [a, b, c, d] = places.map(|place| bar[place]);
        let _ = writeln!(text, "{},{a},{b},{c},{d},{at}.5,{at}", 1_700_006_400 + 86_400 * at);
    }
    text
}

#[test]
fn seven_fields_with_other_prices_are_not_krakens() {
    let db = TestDb::new("seven fields");
    let usual = file(&db, "LKAUSD_1440.csv", seven_fields([0, 1, 2, 3]));
    assert_eq!(load(&db, [&usual], 0).total("inserted"), 60);
    // High, low, close, open: what would be the high is below what would be the low.
    let name = "LKBUSD_1440.csv";
    let other = file(&db, name, seven_fields([1, 2, 3, 0]));
    let refused = load(&db, [&other], 1);
    assert!(refused.stderr.contains("the high is not the highest price"), "{refused:?}");
    let stored = "SELECT count(*) FROM tickers WHERE symbol = 'LKBUSD'";
    assert_eq!(db.client().query_one::<i64>(stored), 0);
    // A layout that is drafted of its values loads it.
    let inspect = Program::new(&db).args(["inspect", name, "--write-layout", "other.toml"]);
    let _ = inspect.run().expect_code(0);
    let args = ["backfill", name, "--layout", "other.toml", "--symbol", "LKBUSD"];
    let loaded = Program::new(&db).args(args).args(["--progress", "none"]).report_json().run();
    assert_eq!(loaded.expect_code(0).total("inserted"), 60);
    let same = "SELECT count(*) FROM market_data a JOIN market_data b USING (ts, interval) \
                WHERE a.ticker_id < b.ticker_id AND \
                (a.open, a.high, a.low, a.close) = (b.open, b.high, b.low, b.close)";
    assert_eq!(db.client().query_one::<i64>(same), 60);
    equations(&db);
}

#[test]
fn closes_alone_are_refused_with_the_layout_that_loads_them() {
    let db = TestDb::new("closes alone");
    let closes = "DATE,LKVX\n09/17/2007,87.730000\n09/18/2007,82.39\n";
    let path = file(&db, "LKVX_History.csv", closes);
    let refused = load(&db, [&path], 1);
    assert!(refused.stderr.contains("a Cboe index history with closes alone"), "{refused:?}");
    let toml = "name = \"closes\"\ndataset = \"bars\"\n[columns]\n\
                ts = { name = \"DATE\", time = \"%m/%d/%Y\", interval = \"1d\" }\n\
                close = \"LKVX\"\n";
    let layout = file(&db, "closes.toml", toml);
    let flags = ["--layout", layout.to_str().expect("a plain path"), "--symbol", "LKVX"];
    let args = std::iter::once(path.to_str().expect("a plain path")).chain(flags);
    assert_eq!(load(&db, args, 0).total("inserted"), 2);
    let rows =
        db.client().rows("SELECT ts::date, interval, open, close FROM market_data ORDER BY ts");
    let row = |day: &str, close: &str| {
        vec![Some(day.to_owned()), Some("1d".to_owned()), None, Some(close.to_owned())]
    };
    assert_eq!(rows, [row("2007-09-17", "87.73"), row("2007-09-18", "82.39")]);
}

/// Bar `at` of days from Tuesday, 2 January 2024 on, weekends left out: year, month and day, then
/// open, high, low, close in hundredths, and volume. Prices are above a thousand.
fn day_bar(at: u32) -> ([u32; 3], [u32; 4], u32) {
    let of_year = at + at.saturating_add(1) / 5 * 2 + 1;
    let (month, day) = if of_year < 31 { (1, of_year + 1) } else { (2, of_year - 30) };
    let price = |at: u32| 123_450 + at * 7_919 % 1_013;
    let (open, close) = (price(at), price(at + 1));
    let bar = [open, open.max(close) + 25, open.min(close) - 25, close];
    ([2024, month, day], bar, 1_000_000 + at * 31_337 % 900_001)
}

/// Parts of a record by name: `Y m d` with and `M D` without leading noughts; prices as `1234.5`
/// (`o h l c`), `1,234.50` (`O H L C`) or `1.234,50` (`o, h, l, c,`); the volume plainly (`v`) and
/// with groups (`V`, `v,`); the turnover (`q`).
fn part(at: u32, name: &str) -> String {
    let ([year, month, day], bar, volume) = day_bar(at);
    let grouped = |whole: u32, group: char| {
        let digits = whole.to_string();
        let mut text = String::new();
        for (at, digit) in digits.chars().enumerate() {
            if at > 0 && (digits.len() - at).is_multiple_of(3) {
                text.push(group);
            }
            text.push(digit);
        }
        text
    };
    let price = |at: usize| (bar[at] / 100, bar[at] % 100);
    let at = |letter: char| "ohlc".find(letter.to_ascii_lowercase()).expect("a price");
    match (name, name.chars().next().expect("a name")) {
        ("Y", _) => year.to_string(),
        ("m", _) => format!("{month:02}"),
        ("d", _) => format!("{day:02}"),
        ("M", _) => month.to_string(),
        ("D", _) => day.to_string(),
        ("v", _) => volume.to_string(),
        ("q", _) => (volume * 100).to_string(),
        ("V", _) => grouped(volume, ','),
        ("v,", _) => grouped(volume, '.'),
        (_, letter) => {
            let (whole, cents) = price(at(letter));
            match (name.ends_with(','), letter.is_uppercase()) {
                (true, _) => format!("{},{cents:02}", grouped(whole, '.')),
                (false, true) => format!("{}.{cents:02}", grouped(whole, ',')),
                (false, false) => format!("{whole}.{cents:02}"),
            }
        }
    }
}

/// A record whose parts stand in braces.
fn filled(form: &str, at: u32) -> String {
    let mut text = String::new();
    for piece in form.split('}') {
        match piece.split_once('{') {
            Some((before, name)) => text.extend([before, &part(at, name)]),
            None => text.push_str(piece),
        }
    }
    text
}

#[test]
fn days_with_names_of_other_languages_load_in_two_commands() {
    let db = TestDb::new("languages");
    let day_first = "{d}.{m}.{Y};{o,};{h,};{l,};{c,};{v,}";
    let slashes = "{d}/{m}/{Y};{o,};{h,};{l,};{c,};{v}";
    for (symbol, header, form) in [
        ("JPA", "日付,始値,高値,安値,終値,出来高", "{Y}/{M}/{D},{o},{h},{l},{c},{v}"),
        (
            "JPB",
            "日付,始値,高値,安値,終値,出来高,調整後終値",
            "{Y}年{M}月{D}日,\"{O}\",\"{H}\",\"{L}\",\"{C}\",\"{V}\",\"{C}\"",
        ),
        ("JPC", "日付,始値,高値,安値,終値,売買代金,売買高", "{Y}/{M}/{D},{o},{h},{l},{c},{q},{v}"),
        ("KRC", "일자,시가,고가,저가,종가,거래대금,거래량", "{Y}{m}{d},{o},{h},{l},{c},{q},{v}"),
        (
            "CNC",
            "日期,代码,开盘,最高,最低,收盘,成交额,成交量",
            "{Y}-{m}-{d},CNC,{o},{h},{l},{c},{q},{v}",
        ),
        (
            "600999",
            "日期,股票代码,开盘,最高,最低,收盘,成交量",
            "{Y}-{m}-{d},600999,{o},{h},{l},{c},{v}",
        ),
        (
            "7299",
            "銘柄コード,日付,始値,高値,安値,終値,出来高",
            "7299,{Y}/{m}/{d},{o},{h},{l},{c},{v}",
        ),
        (
            "TWB",
            "日期,成交金額,成交股數,開盤價,最高價,最低價,收盤價",
            "{Y}/{m}/{d},{q},{v},{o},{h},{l},{c}",
        ),
        ("KRA", "날짜,종가,시가,고가,저가,거래량", "{Y}-{m}-{d},{c},{o},{h},{l},{v}"),
        (
            "KRB",
            "일자,종가,대비,등락률,시가,고가,저가,거래량,시가총액",
            "{Y}년 {m}월 {d}일,\"{C}\",-1,-0.1,\"{O}\",\"{H}\",\"{L}\",\"{V}\",\"9,999,999,999\"",
        ),
        ("CNA", "日期,开盘,最高,最低,收盘,成交量", "{Y}-{m}-{d},{o},{h},{l},{c},{v}"),
        ("CNB", "日期,开盘价,收盘价,最高价,最低价,成交量", "{Y}{m}{d},{o},{c},{h},{l},{v}"),
        ("TWA", "日期,開盤價,最高價,最低價,收盤價,成交量", "{Y}/{m}/{d},{o},{h},{l},{c},{v}"),
        ("DEA", "Datum;Eröffnung;Hoch;Tief;Schlusskurs;Volumen", day_first),
        ("DEB", "Datum;Erster;Hoch;Tief;Schluss;Stücke", day_first),
        (
            "DEC",
            "Datum;Schluss;Eröffnungskurs;Tageshoch;Tagestief;Umsatz",
            "{d}.{m}.{Y};{c,};{o,};{h,};{l,};{v,}",
        ),
        ("FRA", "Date;Ouverture;Haut;Bas;Clôture;Volume", slashes),
        (
            "FRB",
            "Date;Dernier;Ouverture;Plus haut;Plus bas;Volume",
            "{d}/{m}/{Y};{c,};{o,};{h,};{l,};{v}",
        ),
        ("ESA", "Fecha;Apertura;Máximo;Mínimo;Cierre;Volumen", slashes),
        ("ESB", "Fecha;Último;Apertura;Máx.;Mín.;Vol.", "{d}/{m}/{Y};{c,};{o,};{h,};{l,};{v}"),
        ("ITA", "Data;Apertura;Massimo;Minimo;Chiusura;Volumi", slashes),
        ("PTA", "Data;Abertura;Máxima;Mínima;Fechamento;Volume", slashes),
        ("PTB", "Data;Fecho;Abertura;Máximo;Mínimo;Volume", "{d}-{m}-{Y};{c,};{o,};{h,};{l,};{v}"),
        ("RUA", "Дата;Открытие;Максимум;Минимум;Закрытие;Объём", day_first),
        (
            "RUB",
            "Дата;Цена закрытия;Цена открытия;Макс.;Мин.;Объем",
            "{d}.{m}.{Y};{c,};{o,};{h,};{l,};{v,}",
        ),
    ] {
        let name = format!("lk_{symbol}.csv");
        let records: Vec<String> = (0..40).map(|at| filled(form, at)).collect();
        let _ = file(&db, &name, format!("{header}\n{}\n", records.join("\n")));
        let program = || Program::new(&db);
        let layout = format!("{symbol}.toml");
        let written = program().args(["inspect", &name, "--write-layout", &layout]).run();
        let written = written.expect_code(0);
        let at = written.stdout.find("tidegate backfill ").expect(&written.stdout);
        let next = written.stdout[at..].lines().next().expect("a line").trim().to_owned();
        let loaded = program().args(next.split(' ').skip(1)).args(["--progress", "none"]);
        let loaded = loaded.report_json().run().expect_code(0);
        assert_eq!(loaded.total("inserted"), 40, "{header}: {next}");
        let rows = db.client().rows(&format!(
            "SELECT (ts AT TIME ZONE 'UTC')::text, m.interval, open * 100, high * 100, low * 100, \
             close * 100, volume, quote_volume / 100 \
             FROM market_data m JOIN tickers k ON k.id = ticker_id \
             WHERE symbol = '{symbol}' ORDER BY ts"
        ));
        assert_eq!(rows.len(), 40, "{header}: {next}");
        for (at, row) in (0..).zip(rows) {
            let ([year, month, day], bar, volume) = day_bar(at);
            let words: Vec<String> = row.into_iter().flatten().collect();
            let found: Vec<f64> = words[2..]
                .iter()
                .map(|word| word.parse::<f64>().expect("a number").round())
                .collect();
            let amounts = [volume; 2].into_iter().take(1 + usize::from(form.contains("{q}")));
            let expected: Vec<f64> = bar.into_iter().chain(amounts).map(f64::from).collect();
            let day = format!("{year}-{month:02}-{day:02} 00:00:00");
            assert_eq!((words[0].as_str(), words[1].as_str()), (day.as_str(), "1d"), "{header}");
            assert_eq!(found, expected, "{header}: {next}");
        }
    }
    equations(&db);
}
