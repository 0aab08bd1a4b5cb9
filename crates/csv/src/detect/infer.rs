//! Which type keeps every value of a column.
//! Reading single values is the business of `numbers` and `temporal`; applying the types that of `columns`.
//! Called by detection for every cell of the samples.

use crate::columns::NullRule;
use crate::error::CsvError;
use crate::numbers::{self, Fidelity, NumberStyle};
use crate::options::CsvOptions;
use crate::scanner::FieldKind;
use crate::temporal::{
    DateShape, TemporalFormat, TimestampShapes, certain_time, date_shapes, is_usual, timestamp_pattern,
    timestamp_shapes,
};
use crate::types::CsvType;

/// The settings that matter to inference.
pub(crate) struct Rules {
    pub nulls: NullRule,
    pub style: NumberStyle,
    date_format: Option<String>,
    timestamp_format: Option<String>,
    allowed: Option<Vec<CsvType>>,
    /// Candidates among the narrower number types, the narrowest first.
    narrow: Vec<CsvType>,
    /// Moments without a zone are in UTC where others have one: the caller names TIMESTAMPTZ as a candidate.
    unzoned_is_utc: bool,
}

impl Rules {
    pub(crate) fn new(options: &CsvOptions) -> Result<Rules, CsvError> {
        let allowed: Option<Vec<CsvType>> = options
            .auto_type_candidates
            .as_ref()
            .map(|names| names.iter().map(|name| CsvType::parse(name)).collect())
            .transpose()?;
        let mut narrow: Vec<CsvType> =
            allowed.iter().flatten().copied().filter(|candidate| candidate.is_narrow()).collect();
        narrow.sort_by_key(|candidate| match candidate {
            CsvType::TinyInt => 0,
            CsvType::SmallInt => 1,
            CsvType::Integer => 2,
            CsvType::Decimal(..) => 4,
            _ => 5,
        });
        narrow.dedup();
        let unzoned_is_utc = allowed.as_ref().is_some_and(|allowed| allowed.contains(&CsvType::TimestampTz));
        Ok(Rules {
            unzoned_is_utc,
            nulls: NullRule::new(options),
            style: NumberStyle::new(options),
            date_format: options.dateformat.clone(),
            timestamp_format: options.timestampformat.clone(),
            allowed,
            narrow,
        })
    }

    /// Whether a number keeps its value and spelling as one of the narrower types.
    fn keeps(&self, number: &[u8], candidate: CsvType) -> bool {
        let point = self.style.decimal;
        let integer =
            |least: i64, most: i64| numbers::bigint(number).is_some_and(|value| (least..=most).contains(&value));
        match candidate {
            CsvType::TinyInt => integer(i8::MIN.into(), i8::MAX.into()),
            CsvType::SmallInt => integer(i16::MIN.into(), i16::MAX.into()),
            CsvType::Integer => integer(i32::MIN.into(), i32::MAX.into()),
            CsvType::Decimal(precision, scale) => {
                numbers::is_canonical(number, point) && numbers::decimal(number, precision, scale, point).is_some()
            }
            CsvType::Float => numbers::is_canonical(number, point) && numbers::float(number, point).is_some(),
            _ => false,
        }
    }

    fn allows(&self, candidate: CsvType) -> bool {
        self.allowed.as_ref().is_none_or(|allowed| allowed.contains(&candidate))
    }
}

/// What the values of one column have in common so far.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    values: u64,
    boolean: bool,
    bigint: bool,
    double: bool,
    /// Which of [`Rules::narrow`] are still possible, as bits.
    narrow: u32,
    /// Some number is finite; a column of nothing but `nan` holds words.
    finite: bool,
    time: bool,
    dates: u16,
    timestamps: u16,
    zoned: Option<bool>,
    /// Some moments have a zone, others do not.
    mixed_zones: bool,
    twelve_hours: Option<bool>,
    /// Every timestamp has seconds, and no fraction of one.
    whole_seconds: bool,
}

impl Default for Evidence {
    fn default() -> Evidence {
        Evidence {
            values: 0,
            boolean: true,
            bigint: true,
            double: true,
            narrow: u32::MAX,
            finite: false,
            time: true,
            dates: u16::MAX,
            timestamps: u16::MAX,
            zoned: None,
            mixed_zones: false,
            twelve_hours: None,
            whole_seconds: true,
        }
    }
}

impl Evidence {
    /// Takes a value into account.
    pub(crate) fn add(&mut self, text: &[u8], kind: FieldKind, rules: &Rules) {
        if rules.nulls.is_null(text, kind) {
            return;
        }
        self.values += 1;
        if !self.open() {
            return;
        }
        self.boolean = self.boolean && numbers::boolean(text).is_some();
        let (unpadded, text) = (text.trim_ascii(), text.trim_ascii_start());
        if self.double || self.bigint {
            let mut scratch = Vec::new();
            let number = rules.style.ungroup(text, &mut scratch);
            for (index, candidate) in rules.narrow.iter().enumerate() {
                if !number.is_some_and(|number| rules.keeps(number.trim_ascii_end(), *candidate)) {
                    self.narrow &= !(1 << index);
                }
            }
            self.bigint = self.bigint
                && number.is_some_and(|number| {
                    numbers::bigint(&number[..number.len() - (text.len() - unpadded.len())]).is_some()
                });
            if self.double {
                let value = number.and_then(|number| numbers::double(number, Fidelity::Text, rules.style.decimal));
                self.double = value.is_some();
                self.finite |= value.is_some_and(f64::is_finite);
            }
        }
        self.time = self.time && certain_time(text).is_some();
        if self.dates != 0 {
            self.dates &= match &rules.date_format {
                Some(pattern) => {
                    if TemporalFormat::new(Some(pattern)).date(text).is_some() {
                        u16::MAX
                    } else {
                        0
                    }
                }
                None => date_shapes(text),
            };
        }
        if self.timestamps != 0 {
            self.add_timestamp(text, rules);
        }
    }

    fn add_timestamp(&mut self, text: &[u8], rules: &Rules) {
        if let Some(pattern) = &rules.timestamp_format {
            let format = TemporalFormat::new(Some(pattern));
            let zoned = pattern.contains("%z");
            self.zoned = Some(zoned);
            if format.timestamp(text, zoned).is_none() {
                self.timestamps = 0;
            }
            return;
        }
        let Some(found) = timestamp_shapes(text) else {
            self.timestamps = 0;
            return;
        };
        self.timestamps &= found.shapes;
        self.whole_seconds &= found.whole_seconds;
        if *self.zoned.get_or_insert(found.zoned) != found.zoned {
            self.mixed_zones = true;
            self.zoned = Some(true);
        }
        if (self.mixed_zones && !rules.unzoned_is_utc)
            || *self.twelve_hours.get_or_insert(found.twelve_hours) != found.twelve_hours
        {
            self.timestamps = 0;
        }
    }

    /// Some type beside VARCHAR is still possible.
    fn open(&self) -> bool {
        self.boolean || self.bigint || self.double || self.time || self.dates != 0 || self.timestamps != 0
    }

    /// The type that keeps every value, with the format of dates that are not ISO 8601.
    pub(crate) fn conclude(&self, rules: &Rules) -> (CsvType, Option<String>) {
        const TEXT: (CsvType, Option<String>) = (CsvType::Varchar, None);
        if self.values == 0 {
            return TEXT;
        }
        if self.boolean && rules.allows(CsvType::Boolean) {
            return (CsvType::Boolean, None);
        }
        let mut narrow = rules.narrow.iter().enumerate().filter(|(index, _)| self.narrow & (1 << index) != 0);
        let integer = |candidate: CsvType| matches!(candidate, CsvType::TinyInt | CsvType::SmallInt | CsvType::Integer);
        let narrowest = narrow.next().map(|(_, candidate)| *candidate).filter(|_| self.double && self.finite);
        if let Some(candidate) = narrowest.filter(|candidate| integer(*candidate)) {
            return (candidate, None);
        }
        if self.bigint && rules.allows(CsvType::BigInt) {
            return (CsvType::BigInt, None);
        }
        if let Some(candidate) = narrowest {
            return (candidate, None);
        }
        if self.double && self.finite && rules.allows(CsvType::Double) {
            return (CsvType::Double, None);
        }
        if self.time && rules.allows(CsvType::Time) {
            return (CsvType::Time, None);
        }
        if self.dates != 0 && rules.allows(CsvType::Date) {
            if let Some(pattern) = &rules.date_format {
                return (CsvType::Date, Some(pattern.clone()));
            }
            return only_shape(self.dates)
                .map_or(TEXT, |shape| (CsvType::Date, (shape != DateShape::ISO).then(|| shape.pattern())));
        }
        if self.timestamps != 0 {
            let data_type = if self.zoned == Some(true) { CsvType::TimestampTz } else { CsvType::Timestamp };
            if !rules.allows(data_type) {
                return TEXT;
            }
            if let Some(pattern) = &rules.timestamp_format {
                return (data_type, Some(pattern.clone()));
            }
            let twelve_hours = self.twelve_hours == Some(true);
            let format = |shape: DateShape| {
                (shape != DateShape::ISO || twelve_hours).then(|| timestamp_pattern(shape, twelve_hours))
            };
            let found = TimestampShapes {
                shapes: self.timestamps,
                zoned: self.zoned == Some(true),
                twelve_hours,
                whole_seconds: self.whole_seconds,
            };
            return only_shape(self.timestamps)
                .filter(|shape| is_usual(*shape, found))
                .map_or(TEXT, |shape| (data_type, format(shape)));
        }
        TEXT
    }

    /// The column holds moments with and without a zone, which its type reads as those of UTC only where it is declared.
    pub(crate) fn mixes_zones(&self) -> bool {
        self.mixed_zones
    }

    /// The format of dates or timestamps, where the type is declared and all values allow only one.
    pub(crate) fn format_as(&self, declared: CsvType, rules: &Rules) -> Option<String> {
        let (found, format) = self.conclude(rules);
        format.filter(|_| found == declared || (found.is_moment() && declared.is_moment()))
    }

    /// Why a column of dates is text: every value can be read as day/month and as month/day.
    pub(crate) fn is_ambiguous_date(&self, rules: &Rules) -> bool {
        let several = |bits: u16| bits.count_ones() > 1 && bits != u16::MAX;
        self.values > 0
            && rules.date_format.is_none()
            && (several(self.dates) || (self.dates == 0 && several(self.timestamps)))
    }

    /// No value was met.
    pub(crate) fn is_empty(&self) -> bool {
        self.values == 0
    }

    /// The values have more in common than being text.
    pub(crate) fn is_typed(&self, rules: &Rules) -> bool {
        self.conclude(rules).0 != CsvType::Varchar || self.is_ambiguous_date(rules)
    }

    /// Whether a text could be one more of these values.
    pub(crate) fn would_accept(&self, text: &[u8], kind: FieldKind, rules: &Rules) -> bool {
        let mut with = self.clone();
        with.add(text, kind, rules);
        with.is_typed(rules) == self.is_typed(rules)
    }
}

fn only_shape(bits: u16) -> Option<DateShape> {
    (bits.count_ones() == 1).then(|| DateShape::ALL.get(bits.trailing_zeros() as usize).copied()).flatten()
}
