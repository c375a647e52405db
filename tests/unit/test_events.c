// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
//
// Registration with a broker that this file plays: whatever event it refuses, nothing stays
// registered.
#include "events.h"

#include "plugin.h"

#include <check.h>
#include <stdlib.h>

#define REGISTERED_MAX 64

static struct {
    int event;
    MOSQ_FUNC_generic_callback callback;
} registered[REGISTERED_MAX];

static int registered_count;
static int refused_at; // the registration that fails, -1: none
static int refusal;

int mosquitto_callback_register(mosquitto_plugin_id_t *identifier, int event,
                                MOSQ_FUNC_generic_callback callback, const void *event_data,
                                void *userdata)
{
    ck_assert_ptr_nonnull(identifier);
    ck_assert_ptr_nonnull(userdata);
    ck_assert_ptr_null(event_data);
    ck_assert_int_lt(registered_count, REGISTERED_MAX);
    if (registered_count == refused_at)
        return refusal;
    registered[registered_count].event = event;
    registered[registered_count++].callback = callback;
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_callback_unregister(mosquitto_plugin_id_t *identifier, int event,
                                  MOSQ_FUNC_generic_callback callback, const void *event_data)
{
    ck_assert_ptr_nonnull(identifier);
    ck_assert_ptr_null(event_data);
    for (int i = 0; i < registered_count; i++) {
        if (registered[i].event == event && registered[i].callback == callback) {
            registered[i] = registered[--registered_count];
            return MOSQ_ERR_SUCCESS;
        }
    }
    ck_abort_msg("event %d is taken back, but was not registered", event);
    return MOSQ_ERR_NOT_FOUND;
}

// The rest of what only a broker has; nothing here gets there.
#define UNUSED(type, name)                    \
    type name(const struct mosquitto *client) \
    {                                         \
        ck_abort_msg(#name " of %p", client); \
        return 0;                             \
    }
UNUSED(bool, mosquitto_client_clean_session)
UNUSED(const char *, mosquitto_client_id)
UNUSED(int, mosquitto_client_protocol_version)
UNUSED(int, mosquitto_client_sub_count)
UNUSED(const char *, mosquitto_client_username)

int mosquitto_kick_client_by_clientid(const char *clientid, bool with_will)
{
    ck_abort_msg("%s is kicked, %d", clientid, with_will);
    return MOSQ_ERR_SUCCESS;
}

void mosquitto_log_printf(int level, const char *format, ...)
{
    ck_abort_msg("level %d: %s", level, format);
}

void *mosquitto_malloc(size_t size)
{
    ck_abort_msg("%zu bytes are wanted", size);
    return NULL;
}

void mosquitto_free(void *memory)
{
    ck_abort_msg("%p is freed", memory);
}

void plugin_die(void)
{
    ck_abort_msg("the plugin ends the broker");
    abort();
}

static struct plugin plugin;

static void setup(void)
{
    plugin = (struct plugin){.identifier = (mosquitto_plugin_id_t *)&plugin};
    registered_count = 0;
    refused_at = -1;
}

START_TEST(every_event_is_registered_and_taken_back)
{
    struct store_error err = {0};
    ck_assert_int_eq(events_register(&plugin, &err), 0);
    int all = registered_count;
    ck_assert_int_gt(all, 20);
    for (int event = MOSQ_EVT_PERSIST_RESTORE; event <= MOSQ_EVT_PERSIST_WILL_DELETE; event++) {
        bool found =
            event > MOSQ_EVT_PERSIST_CLIENT_MSG_UPDATE && event < MOSQ_EVT_PERSIST_WILL_ADD;
        for (int i = 0; i < all; i++)
            found |= registered[i].event == event;
        ck_assert_msg(found, "event %d of persistence is not registered", event);
    }
    events_unregister(&plugin);
    ck_assert_int_eq(registered_count, 0);
}
END_TEST

START_TEST(a_refused_event_leaves_none_registered)
{
    static const struct {
        int refusal, code;
    } answers[] = {{MOSQ_ERR_NOT_SUPPORTED, STORE_EVERSION}, {MOSQ_ERR_INVAL, STORE_EINVAL}};
    struct store_error err = {0};
    ck_assert_int_eq(events_register(&plugin, &err), 0);
    int all = registered_count;
    events_unregister(&plugin);
    refusal = answers[_i].refusal;
    for (refused_at = 0; refused_at < all; refused_at++) {
        ck_assert_int_eq(events_register(&plugin, &err), answers[_i].code);
        ck_assert_int_eq(registered_count, 0);
        ck_assert_ptr_nonnull(strstr(err.sentence, "event "));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("events");
    TCase *tcase = tcase_create("events");
    tcase_add_checked_fixture(tcase, setup, NULL);
    tcase_add_test(tcase, every_event_is_registered_and_taken_back);
    tcase_add_loop_test(tcase, a_refused_event_leaves_none_registered, 0, 2);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
