// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The broker's property lists <-> MQTT 5 wire form (section 2.2.2), without the length in front.
#ifndef PLUGIN_PROPERTIES_H
#define PLUGIN_PROPERTIES_H

#include "broker.h"
#include "store/error.h"
#include "store/event.h"

// Room for one wire form, used again and again. Zero-initialise it.
struct properties_buffer {
    uint8_t *data;
    size_t capacity;
};

// The wire form of a list; absent for NULL. Valid until the next call on the same buffer.
int properties_encode(struct properties_buffer *buffer, const mosquitto_property *list,
                      struct span *ret_wire, struct store_error *err);
void properties_buffer_release(struct properties_buffer *buffer);

// The list of a wire form, to be freed with mosquitto_property_free_all; NULL for an absent or
// empty one. STORE_EDAMAGED if it is not a list of properties.
int properties_decode(struct span wire, mosquitto_property **ret_list, struct store_error *err);

#endif
