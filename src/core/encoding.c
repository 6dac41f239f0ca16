#include "core/encoding.h"

#include <errno.h>
#include <iconv.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "core/mem.h"

/*
 * PostgreSQL manual, chapter 24.3, "PostgreSQL Character Sets": the encodings of a server, and the names that
 * iconv() has for them. The position is the number that is stored in files: only add at the end.
 */
static const struct {
    const char *name;
    const char *iconv; /* NULL: none */
} encodings[] = {
    {"UTF8", NULL},
    {"SQL_ASCII", NULL},
    {"EUC_JP", "EUC-JP"},
    {"EUC_CN", "EUC-CN"},
    {"EUC_KR", "EUC-KR"},
    {"EUC_TW", "EUC-TW"},
    {"EUC_JIS_2004", "EUC-JISX0213"},
    {"MULE_INTERNAL", NULL},
    {"LATIN1", "ISO-8859-1"},
    {"LATIN2", "ISO-8859-2"},
    {"LATIN3", "ISO-8859-3"},
    {"LATIN4", "ISO-8859-4"},
    {"LATIN5", "ISO-8859-9"},
    {"LATIN6", "ISO-8859-10"},
    {"LATIN7", "ISO-8859-13"},
    {"LATIN8", "ISO-8859-14"},
    {"LATIN9", "ISO-8859-15"},
    {"LATIN10", "ISO-8859-16"},
    {"WIN1256", "CP1256"},
    {"WIN1258", "CP1258"},
    {"WIN866", "CP866"},
    {"WIN874", "CP874"},
    {"KOI8R", "KOI8-R"},
    {"WIN1251", "CP1251"},
    {"WIN1252", "CP1252"},
    {"ISO_8859_5", "ISO-8859-5"},
    {"ISO_8859_6", "ISO-8859-6"},
    {"ISO_8859_7", "ISO-8859-7"},
    {"ISO_8859_8", "ISO-8859-8"},
    {"WIN1250", "CP1250"},
    {"WIN1253", "CP1253"},
    {"WIN1254", "CP1254"},
    {"WIN1255", "CP1255"},
    {"WIN1257", "CP1257"},
    {"KOI8U", "KOI8-U"},
};
#define ENCODING_COUNT (sizeof(encodings) / sizeof(encodings[0]))

uint32_t
encoding_number(const char *encoding)
{
    for (uint32_t i = 0; encoding != NULL && i < ENCODING_COUNT; i++)
        if (strcasecmp(encodings[i].name, encoding) == 0)
            return i;
    return 0;
}

const char *
encoding_numbered(uint32_t number)
{
    return number > 0 && number < ENCODING_COUNT ? encodings[number].name : NULL;
}

/*
 * The encoding to convert from; NULL: the system cannot convert it. UTF-8 is converted too, because that
 * checks it.
 */
static const char *
convert_from(const char *encoding)
{
    uint32_t number = encoding_number(encoding);

    return encodings[number].iconv != NULL                        ? encodings[number].iconv
           : strcmp(encodings[number].name, "MULE_INTERNAL") == 0 ? NULL
                                                                  : "UTF-8";
}

/* Converts as far as possible: what is left begins with something that has no form in UTF-8. */
static void
convert_some(iconv_t conversion, const char **text, size_t *len, struct buffer *out)
{
    while (*len > 0) {
        char room[512];
        char *from = (char *)*text, *to = room;
        size_t room_left = sizeof(room);
        size_t result = iconv(conversion, &from, len, &to, &room_left);

        *text = from;
        buffer_add(out, room, (size_t)(to - room));
        if (result == (size_t)-1 && errno != E2BIG)
            break;
    }
    iconv(conversion, NULL, NULL, NULL, NULL);
}

bool
encoding_is_ascii(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return true;
}

/* In the encodings of a server, no byte of a multibyte character is an ASCII byte. */
static iconv_t
conversion_open(const char *encoding)
{
    const char *from = convert_from(encoding);

    return from != NULL ? iconv_open("UTF-8", from) : (iconv_t)-1;
}

bool
encoding_to_utf8(const char *encoding, const char *text, size_t len, struct buffer *out)
{
    struct buffer converted = {0};
    iconv_t conversion;

    if (encoding_is_ascii(text, len)) {
        buffer_add(out, text, len);
        return true;
    }
    conversion = conversion_open(encoding);
    if (conversion == (iconv_t)-1)
        return false;
    convert_some(conversion, &text, &len, &converted);
    iconv_close(conversion);
    if (len == 0)
        buffer_add(out, converted.data, converted.len);
    buffer_free(&converted);
    return len == 0;
}

char *
encoding_shown(const char *encoding, const char *text, size_t len)
{
    struct buffer out = {0};
    iconv_t conversion = encoding_is_ascii(text, len) ? (iconv_t)-1 : conversion_open(encoding);

    buffer_add_text(&out, "");
    while (len > 0) {
        if (conversion != (iconv_t)-1)
            convert_some(conversion, &text, &len, &out);
        if (len == 0)
            break;
        if ((unsigned char)*text < 0x80)
            buffer_add_char(&out, *text);
        else
            buffer_printf(&out, "\\x%02x", (unsigned char)*text);
        text++;
        len--;
    }
    if (conversion != (iconv_t)-1)
        iconv_close(conversion);
    return buffer_take(&out);
}

static int
hex_value(char digit)
{
    return digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10;
}

char *
encoding_unhex(const char *digits)
{
    size_t len = digits != NULL ? strlen(digits) / 2 : 0;
    char *bytes;

    if (digits == NULL)
        return NULL;
    bytes = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(hex_value(digits[2 * i]) << 4 | hex_value(digits[2 * i + 1]));
    return bytes;
}

void
encoding_add_hex(struct buffer *out, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buffer_printf(out, "%02x", (unsigned char)bytes[i]);
}
