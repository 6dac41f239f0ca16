/*
 * What the server says beside its answers: warnings about a collation's version, a password that expires, a
 * slot. Each text is written to the log once, because the server sends it to every session. Messages
 * that functions raise are left out: they may contain values of rows. Internal to pg.
 */
#ifndef PGRECAST_PG_NOTICE_H
#define PGRECAST_PG_NOTICE_H

#include <libpq-fe.h>

void notice_log(const PGresult *notice);

#endif
