// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
#include "plugin.h"

#include "events.h"
#include "life.h"
#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PLUGIN_NAME "persist-lmdb"
#define PLUGIN_INTERFACE 5

static struct plugin *instance;

void plugin_die(void)
{
    fflush(NULL);
    _exit(EXIT_FAILURE);
}

int mosquitto_plugin_version(int supported_version_count, const int *supported_versions)
{
    for (int i = 0; i < supported_version_count; i++) {
        if (supported_versions[i] == PLUGIN_INTERFACE)
            return PLUGIN_INTERFACE;
    }
    return -1;
}

// Without plugin_opt_path: the folder `lmdb` where the broker would keep its own file.
static int path_complete(struct options *options, struct store_error *err)
{
    const char *location = mosquitto_persistence_location();
    if (options->path[0])
        return 0;
    if (!location || !location[0])
        return error_set(err, STORE_EINVAL,
                         "no store folder: set plugin_opt_path, or persistence_location");
    const char *between = location[strlen(location) - 1] == '/' ? "" : "/";
    int n = snprintf(options->path, sizeof(options->path), "%s%slmdb", location, between);
    if (n < 0 || (size_t)n >= sizeof(options->path))
        return error_set(err, STORE_EINVAL, "persistence_location is too long");
    return 0;
}

static int options_complete(struct plugin *plugin, const struct mosquitto_opt *options, int count,
                            struct store_error *err)
{
    int rc = 0;
    options_init(&plugin->configured);
    for (int i = 0; rc == 0 && i < count; i++)
        rc = options_set(&plugin->configured, "configuration", options[i].key, options[i].value,
                         err);
    plugin->options = plugin->configured;
    if (rc == 0 && plugin->options.options_file[0])
        rc = options_read_file(&plugin->options, plugin->options.options_file, err);
    if (rc == 0)
        rc = options_check(&plugin->options, err);
    if (rc == 0)
        rc = path_complete(&plugin->options, err);
    return rc;
}

static void plugin_free(struct plugin *plugin)
{
    if (!plugin)
        return;
    if (plugin->store)
        life_close(plugin);
    append_release(&plugin->append);
    backlog_release(&plugin->backlog);
    deletions_release(&plugin->deletions);
    will_delays_release(plugin);
    properties_buffer_release(&plugin->properties);
    free(plugin);
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *identifier, void **userdata,
                          struct mosquitto_opt *options, int option_count)
{
    struct store_error err = {0};
    struct plugin *plugin = NULL;
    int rc;

    if (!broker_is_new_enough()) {
        log_line(LOG_LEVEL_ERROR, "this broker has no interface for persistence plugins; "
                                  "Mosquitto 2.1 or newer is needed");
        return MOSQ_ERR_NOT_SUPPORTED;
    }
    mosquitto_plugin_set_info(identifier, PLUGIN_NAME, PROJECT_VERSION);
    if (instance) {
        log_line(LOG_LEVEL_ERROR, "the plugin is loaded twice in the configuration");
        return MOSQ_ERR_INVAL;
    }
    plugin = calloc(1, sizeof(*plugin));
    if (!plugin)
        return MOSQ_ERR_NOMEM;
    plugin->identifier = identifier;

    if ((rc = options_complete(plugin, options, option_count, &err)) ||
        (rc = life_open(plugin, &err)) || (rc = events_register(plugin, &err))) {
        log_line(LOG_LEVEL_ERROR, "%s", err.sentence);
        plugin_free(plugin);
        return MOSQ_ERR_UNKNOWN;
    }
    instance = plugin;
    *userdata = plugin;
    return MOSQ_ERR_SUCCESS;
}

// Also called after an init that failed, then without userdata.
int mosquitto_plugin_cleanup(void *userdata, struct mosquitto_opt *options, int option_count)
{
    struct plugin *plugin = userdata;
    (void)options;
    (void)option_count;
    if (!plugin)
        return MOSQ_ERR_SUCCESS;
    pubrel_release(plugin);
    events_unregister(plugin);
    plugin_free(plugin);
    instance = NULL;
    return MOSQ_ERR_SUCCESS;
}
