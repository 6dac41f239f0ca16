/* The settings that sessions pin. Internal to pg. */
#ifndef PGRECAST_PG_SETTINGS_PIN_H
#define PGRECAST_PG_SETTINGS_PIN_H

#include "pg/settings.h"

/*
 * One statement that sets everything that every session pins, the limits, and the settings in json (NULL:
 * those of transport). The caller frees it.
 */
char *settings_pin_sql(int major, const char *client_encoding, const char *json,
                       const struct session_limits *limits);

/*
 * The names in the options of a connection ("-c app.tenant=5 --work_mem=1MB"), as an array in SQL's text
 * form. The caller frees it.
 */
char *settings_option_names(const char *options);

#endif
