//! Bytes into documents.
//!
//! The one place where the plan depends on how YAML is read.

use crate::yaml::Value;

/// Reads all documents of a text; `None` if it is not YAML, for example after an edit by hand.
pub(super) fn read(text: &str) -> Option<Vec<Value>> {
    stand_in::read(text)
}

/// A reader that stands here until `yaml::parse` and `yaml::interpret` do.
mod stand_in {
    use granit_parser::{Event, Options, Parser, ScalarStyle};

    use crate::yaml::{Map, Number, Value};

    type Events<'a> = dyn Iterator<Item = Event<'a>> + 'a;

    pub(super) fn read(text: &str) -> Option<Vec<Value>> {
        let mut options = Options::default();
        options.emit_comments = false;
        let events: Vec<Event> = Parser::new_from_str_with_options(text, options)
            .map(|event| event.map(|(event, _)| event))
            .collect::<Result<_, _>>()
            .ok()?;
        let mut events = events.into_iter();
        let mut documents = Vec::new();
        while let Some(event) = events.next() {
            if let Event::DocumentStart(..) = event {
                let first = events.next()?;
                documents.push(value(first, &mut events)?);
            }
        }
        Some(documents)
    }

    fn value(event: Event<'_>, events: &mut Events<'_>) -> Option<Value> {
        match event {
            Event::Scalar(text, style, 0, None) => Some(scalar(&text, style)),
            Event::SequenceStart(_, 0, None) => {
                let mut items = Vec::new();
                loop {
                    match events.next()? {
                        Event::SequenceEnd => return Some(Value::List(items)),
                        item => items.push(value(item, events)?),
                    }
                }
            }
            Event::MappingStart(_, 0, None) => {
                let mut map = Map::default();
                loop {
                    match events.next()? {
                        Event::MappingEnd => return Some(Value::Map(map)),
                        Event::Scalar(key, ..) if map.get(&key).is_none() => {
                            let next = events.next()?;
                            let value = value(next, events)?;
                            map.insert(key, value);
                        }
                        _ => return None,
                    }
                }
            }
            _ => None,
        }
    }

    fn scalar(text: &str, style: ScalarStyle) -> Value {
        if style != ScalarStyle::Plain {
            return Value::String(text.to_owned());
        }
        match text {
            "" | "~" | "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => match text.parse::<i64>() {
                Ok(number) => Value::Number(Number::from(number)),
                Err(_) => Value::String(text.to_owned()),
            },
        }
    }
}
