// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// The broker's interface, with what came with 2.1 taken as weak symbols: an older broker then loads
// the plugin, which can say in a sentence what is missing.
#ifndef PLUGIN_BROKER_H
#define PLUGIN_BROKER_H

#include <mosquitto.h>
#include <mosquitto/broker.h>
#include <mosquitto/broker_plugin.h>

#include <stdbool.h>

#pragma weak mosquitto_broker_node_id_set
#pragma weak mosquitto_client
#pragma weak mosquitto_client_port
#pragma weak mosquitto_client_will_set
#pragma weak mosquitto_persist_base_msg_add
#pragma weak mosquitto_persist_base_msg_delete
#pragma weak mosquitto_persist_client_add
#pragma weak mosquitto_persist_client_delete
#pragma weak mosquitto_persist_client_msg_add
#pragma weak mosquitto_persist_client_msg_delete
#pragma weak mosquitto_persist_client_msg_update
#pragma weak mosquitto_persist_retain_msg_delete
#pragma weak mosquitto_persist_retain_msg_set
#pragma weak mosquitto_persistence_location
#pragma weak mosquitto_plugin_set_info
#pragma weak mosquitto_property_binary_value
#pragma weak mosquitto_property_binary_value_length
#pragma weak mosquitto_property_byte_value
#pragma weak mosquitto_property_get_remaining_length
#pragma weak mosquitto_property_int16_value
#pragma weak mosquitto_property_int32_value
#pragma weak mosquitto_property_string_name
#pragma weak mosquitto_property_string_name_length
#pragma weak mosquitto_property_string_value
#pragma weak mosquitto_property_string_value_length
#pragma weak mosquitto_property_varint_value
#pragma weak mosquitto_strerror
#pragma weak mosquitto_subscription_add

// Whether the broker that loaded us has the persistence interface of 2.1.
static inline bool broker_is_new_enough(void)
{
    return mosquitto_broker_node_id_set && mosquitto_client && mosquitto_client_port &&
           mosquitto_client_will_set && mosquitto_persist_base_msg_add &&
           mosquitto_persist_client_add && mosquitto_persist_client_delete &&
           mosquitto_persist_client_msg_add && mosquitto_persist_client_msg_delete &&
           mosquitto_persist_client_msg_update && mosquitto_persist_retain_msg_delete &&
           mosquitto_persist_retain_msg_set && mosquitto_persistence_location &&
           mosquitto_plugin_set_info && mosquitto_property_string_value && mosquitto_strerror &&
           mosquitto_subscription_add;
}

#endif
