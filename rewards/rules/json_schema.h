// The part of JSON Schema (draft 2020-12) that descriptions of tools use.
//
// Goal: a schema says exactly what it does here: what is beyond the part is refused, not passed
// over. Non-goal: $ref, combinations (anyOf, …), patterns and ranges.
#pragma once

#include <boost/json/value.hpp>

#include "system/json.h"

namespace zeroth {

/// InputError unless `schema` is an object of these keywords: type (a name or a list of names:
/// string, number, integer, boolean, object, array, null), enum, properties, required,
/// additionalProperties (true, false or a schema), items (a schema); title, description, default
/// and examples say nothing about a value.
void check_json_schema(const JsonReader& schema);

/// Whether `value` is what a checked schema describes. As in JSON Schema, properties, required and
/// additionalProperties ask nothing of what is no object, nor items of what is no array; 2.0 is an
/// integer, and equal to 2.
bool matches_json_schema(const boost::json::value& value, const boost::json::value& schema);

}  // namespace zeroth
