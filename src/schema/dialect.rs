//! Which JSON Schema a text is written in, and where in it schemas stand.

/// A version of JSON Schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    #[default]
    Draft202012,
    Draft7,
    /// OpenAPI 3.0's schema object: an extended part of an early draft.
    OpenApi30,
    /// OpenAPI 3.1: 2020-12 with a few annotations.
    OpenApi31,
}

impl Dialect {
    /// By the URI in `$schema`; an empty fragment counts as none.
    pub fn named(uri: &str) -> Option<Self> {
        match uri.strip_suffix('#').unwrap_or(uri) {
            "https://json-schema.org/draft/2020-12/schema" => Some(Self::Draft202012),
            "http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema" => Some(Self::Draft7),
            "https://spec.openapis.org/oas/3.1/dialect/base" => Some(Self::OpenApi31),
            _ => None,
        }
    }

    /// Whether nothing beside `$ref` counts.
    pub const fn reference_alone(self) -> bool {
        matches!(self, Self::Draft7 | Self::OpenApi30)
    }

    /// Whether the text was written for documentation first: what can't be asserted is a warning, no fault.
    pub const fn is_openapi(self) -> bool {
        matches!(self, Self::OpenApi30 | Self::OpenApi31)
    }

    /// Whether a keyword asserts something, or leads to what does, in this dialect.
    pub fn asserts(self, keyword: &str) -> bool {
        match keyword {
            "prefixItems"
            | "dependentRequired"
            | "dependentSchemas"
            | "unevaluatedItems"
            | "unevaluatedProperties"
            | "minContains"
            | "maxContains"
            | "$anchor"
            | "$dynamicAnchor"
            | "$dynamicRef" => {
                matches!(self, Self::Draft202012 | Self::OpenApi31)
            }
            "$id" | "const" | "contains" | "if" | "then" | "else" | "patternProperties" | "propertyNames"
            | "dependencies" => self != Self::OpenApi30,
            "additionalItems" => self == Self::Draft7,
            "nullable" => self == Self::OpenApi30,
            "discriminator" => self.is_openapi(),
            _ => ASSERTING.contains(&keyword),
        }
    }
}

/// Keywords that every dialect asserts.
const ASSERTING: [&str; 26] = [
    "$ref",
    "type",
    "enum",
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "format",
    "minItems",
    "maxItems",
    "uniqueItems",
    "items",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "$schema",
];

/// Keywords that only describe.
pub const ANNOTATIONS: [&str; 20] = [
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "externalDocs",
    "xml",
    "$vocabulary",
    "nullable",
    "discriminator",
    "$recursiveAnchor",
];

/// How schemas stand in a keyword's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    One,
    List,
    /// A schema or, in draft 7, a list of them.
    OneOrList,
    Named,
    Nothing,
}

pub fn holds(keyword: &str) -> Holds {
    match keyword {
        "additionalProperties"
        | "additionalItems"
        | "contains"
        | "not"
        | "if"
        | "then"
        | "else"
        | "propertyNames"
        | "unevaluatedItems"
        | "unevaluatedProperties"
        | "contentSchema" => Holds::One,
        "allOf" | "anyOf" | "oneOf" | "prefixItems" => Holds::List,
        "items" => Holds::OneOrList,
        "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas" | "dependencies" => {
            Holds::Named
        }
        _ => Holds::Nothing,
    }
}
