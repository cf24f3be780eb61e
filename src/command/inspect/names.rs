//! What the name of a column says that it is, in some of the languages in which files come. Knows
//! no values.

/// Words in the names of columns, in some of the languages in which files come.
const WORDS: [(&str, &[&str]); 14] = [
    (
        "ts",
        &[
            "ts",
            "time",
            "date",
            "datetime",
            "timestamp",
            "stamp",
            "dt",
            "when",
            "moment",
            "day",
            "tag",
            "zeit",
            "zeitpunkt",
            "datum",
            "uhrzeit",
            "fecha",
            "hora",
            "data",
            "ora",
            "jour",
            "heure",
            "begin",
            "start",
            "opentime",
            "日期",
            "时间",
            "日時",
            "日付",
            "날짜",
            "tarih",
            "дата",
            "время",
            "fecha_hora",
            "일자",
            "일시",
            "시간",
            "交易日期",
            "交易日",
            "時間",
            "時刻",
            "年月日",
            "giorno",
            "día",
            "dia",
        ],
    ),
    (
        "open",
        &[
            "open",
            "o",
            "op",
            "first",
            "opening",
            "anfang",
            "eröffnung",
            "eroeffnung",
            "erster",
            "ouverture",
            "ouv",
            "apertura",
            "abertura",
            "otwarcie",
            "открытие",
            "откр",
            "开盘",
            "开盘价",
            "開盤",
            "始値",
            "시가",
            "açılış",
            "öppning",
            "openingskoers",
            "eröffnungskurs",
            "anfangskurs",
            "открытия",
            "開盤價",
            "開盤価",
            "寄付",
            "apert",
            "abert",
        ],
    ),
    (
        "high",
        &[
            "high",
            "h",
            "hi",
            "max",
            "highest",
            "top",
            "hoch",
            "höchst",
            "hoechst",
            "tageshoch",
            "haut",
            "máximo",
            "maximo",
            "massimo",
            "hoog",
            "maksimum",
            "najwyższy",
            "макс",
            "максимум",
            "最高",
            "最高价",
            "高値",
            "고가",
            "yüksek",
            "högst",
            "massima",
            "máxima",
            "maxima",
            "plushaut",
            "höchstkurs",
            "höchstwert",
            "máx",
            "最高價",
            "最高値",
        ],
    ),
    (
        "low",
        &[
            "low",
            "l",
            "lo",
            "min",
            "lowest",
            "bottom",
            "tief",
            "tiefst",
            "tagestief",
            "bas",
            "mínimo",
            "minimo",
            "laag",
            "minimum",
            "najniższy",
            "мин",
            "минимум",
            "最低",
            "最低价",
            "安値",
            "저가",
            "düşük",
            "lägst",
            "minima",
            "mínima",
            "plusbas",
            "tiefstkurs",
            "tiefstwert",
            "mín",
            "最低價",
            "最低値",
        ],
    ),
    (
        "close",
        &[
            "close",
            "c",
            "cl",
            "last",
            "settle",
            "settlement",
            "price",
            "closing",
            "schluss",
            "schlusskurs",
            "letzter",
            "kurs",
            "clôture",
            "cloture",
            "dernier",
            "cierre",
            "chiusura",
            "fechamento",
            "ultimo",
            "último",
            "slot",
            "slotkoers",
            "zamknięcie",
            "закрытие",
            "закр",
            "收盘",
            "收盘价",
            "收盤",
            "終値",
            "종가",
            "kapanış",
            "şimdi",
            "stängning",
            "senast",
            "zuletzt",
            "fermeture",
            "fecho",
            "закрытия",
            "收盤價",
        ],
    ),
    (
        "volume",
        &[
            "volume",
            "vol",
            "v",
            "qty",
            "quantity",
            "shares",
            "contracts",
            "traded",
            "umsatz",
            "stücke",
            "stuecke",
            "stück",
            "menge",
            "volumen",
            "omzet",
            "wolumen",
            "obrót",
            "объем",
            "объём",
            "成交量",
            "出来高",
            "거래량",
            "hacim",
            "volym",
            "volumes",
            "handelsvolumen",
            "volumi",
            "成交股數",
            "成交股数",
            "取引高",
            "売買高",
            "交易量",
            "объема",
            "объёма",
        ],
    ),
    ("trade_count", &["trades", "count", "transactions", "ticks", "deals"]),
    (
        "quote_volume",
        &[
            "turnover",
            "quotevolume",
            "notional",
            "成交额",
            "成交金额",
            "成交金額",
            "売買代金",
            "거래대금",
        ],
    ),
    (
        "symbol",
        &[
            "symbol",
            "ticker",
            "sym",
            "instrument",
            "pair",
            "asset",
            "security",
            "code",
            "wkn",
            "isin",
            "contract",
            "name",
            "titel",
            "wertpapier",
            "股票代码",
            "股票代碼",
            "证券代码",
            "證券代號",
            "代码",
            "代碼",
            "銘柄コード",
            "銘柄",
            "コード",
            "종목코드",
            "종목",
        ],
    ),
    ("price", &["price", "px", "p", "rate", "preis", "kurs", "precio", "prezzo", "prix", "last"]),
    (
        "size",
        &[
            "size",
            "sz",
            "qty",
            "quantity",
            "amount",
            "volume",
            "vol",
            "shares",
            "contracts",
            "menge",
            "stücke",
            "stück",
            "lots",
            "cantidad",
            "quantità",
            "quantité",
        ],
    ),
    ("side", &["side", "sd", "bs", "buysell", "direction", "aggressor", "seite", "taker"]),
    ("trade_id", &["id", "tid", "trade", "tradeid", "deal", "dealid", "seq", "sequence", "exec"]),
    ("interval", &["interval", "timeframe", "period", "resolution", "granularity", "frame", "bar"]),
];
/// Words that make another thing of a name: not a bar's open, but its open interest.
const OTHER_WORDS: [&str; 13] = [
    "interest", "oi", "adj", "adjusted", "bid", "ask", "avg", "average", "vwap", "change", "prev",
    "previous", "factor",
];

/// The words of a name: at signs, spaces and capitals.
fn words_of(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut lower_before = false;
    for c in name.chars() {
        if !c.is_alphanumeric() {
            words.push(String::new());
            lower_before = false;
            continue;
        }
        if c.is_uppercase() && lower_before || words.is_empty() {
            words.push(String::new());
        }
        lower_before = c.is_lowercase();
        if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// How well a name says `column`: 0 not at all, else the more the fewer other words it has.
pub(super) fn says(name: &str, column: &str) -> u32 {
    let Some((_, known)) = WORDS.iter().find(|(name, _)| *name == column) else { return 0 };
    let words = words_of(name);
    let whole: String = words.concat();
    if known.contains(&whole.as_str()) {
        return 100;
    }
    if words.iter().any(|word| OTHER_WORDS.contains(&word.as_str())) {
        return 0;
    }
    let hits = words.iter().filter(|word| known.contains(&word.as_str())).count() as u32;
    // A letter alone says something only if it is the whole name.
    let long = words.iter().any(|word| word.chars().count() > 1 && known.contains(&word.as_str()));
    if long { 10 + 40 * hits / words.len() as u32 } else { 0 }
}

/// Whether a name may be a ticker: capitals, and no word that says something else.
pub(super) fn is_ticker(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || ".-/_^=".contains(c);
    let plain = (1..=20).contains(&name.len()) && name.chars().all(sign);
    let words = words_of(name);
    let known = |word: &String| {
        OTHER_WORDS.contains(&word.as_str())
            || WORDS.iter().any(|(_, words)| words.contains(&word.as_str()))
    };
    plain && name.chars().any(|c| c.is_ascii_uppercase()) && !words.iter().any(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart() {
        assert_eq!(words_of("Px_Last (EUR)"), ["px", "last", "eur"]);
        assert_eq!(words_of("openPrice"), ["open", "price"]);
        assert_eq!(words_of("<CLOSE>"), ["close"]);
        assert_eq!(says("Close", "close"), 100);
        assert!(says("last price", "close") > says("close time", "close"));
        assert_eq!(says("Open Interest", "open"), 0);
        assert_eq!(says("Adj Close", "close"), 0);
        assert_eq!(says("l x", "low"), 0);
        assert!(is_ticker("AAPL") && is_ticker("BRK.B") && is_ticker("BTC-USD"));
        assert!(!is_ticker("VOLUME") && !is_ticker("BID PX") && !is_ticker("Apple"));
    }
}
